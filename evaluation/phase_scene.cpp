#include "evaluation/phase_scene.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

#include "core/imaging/electrons.hpp"

namespace cryored {
namespace {

PhaseImageOptions view_options(const PhaseSceneOptions& o, int view) {
  const std::uint64_t stream = o.seed * 1000 + static_cast<std::uint64_t>(view);
  std::mt19937_64 random(stream);
  PhaseImageOptions image = draw_exposure(o, random);
  image.seed = stream * 1000;
  return image;
}

}  // namespace

PhaseImageOptions draw_exposure(const PhaseOptics& o, std::mt19937_64& random) {
  PhaseImageOptions image;
  image.box = o.box;
  image.pixel_size = o.pixel_size;
  image.ctf = o.ctf;
  image.dose = o.dose;
  image.ice = o.ice;
  image.b_factor = o.b_factor;
  image.rotation = random_rotation(random);
  const double u = std::uniform_real_distribution<double>(0, 1)(random);
  image.ctf.defocus_u = image.ctf.defocus_v = o.least_defocus + (o.most_defocus - o.least_defocus) * u;
  return image;
}

void in_parallel(int count, int threads, const std::function<void(int)>& work) {
  std::atomic<int> next{0};
  std::mutex mutex;
  std::exception_ptr problem;
  const auto run = [&] {
    for (int i = next++; i < count; i = next++) try {
        work(i);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!problem) problem = std::current_exception();
        next = count;
      }
  };
  std::vector<std::thread> pool;
  for (int t = 1; t < std::min(threads, count); ++t) pool.emplace_back(run);
  run();
  for (std::thread& t : pool) t.join();
  if (problem) std::rethrow_exception(problem);
}

PhaseScene make_phase_scene(const Structure& structure, const PhaseSceneOptions& o, const SimulateExposures& simulate,
                            int threads) {
  PhaseScene scene{o.dose, o.pixel_size, structure.radius, o.box, {}};
  scene.views.resize(static_cast<std::size_t>(o.views));
  const double contrast = background_contrast(o.dose, o.pixel_size);
  in_parallel(o.views, threads, [&](int v) {
    const PhaseImageOptions image = view_options(o, v);
    PhaseExposures made = simulate(structure, image, o.exposures, o.blanks);
    for (std::vector<Map>* maps : {&made.intensities, &made.blanks})
      for (Map& map : *maps) image_from_intensity(contrast, map.size(), map.data.data());
    scene.views[static_cast<std::size_t>(v)] = {std::move(made.phase), std::move(made.intensities),
                                                std::move(made.blanks), image.ctf};
  });
  return scene;
}

std::vector<Map> true_phases(const Structure& structure, const PhaseSceneOptions& o, const SimulateExposures& simulate,
                             int threads) {
  std::vector<Map> phases(static_cast<std::size_t>(o.views));
  in_parallel(o.views, threads, [&](int v) {
    phases[static_cast<std::size_t>(v)] = simulate(structure, view_options(o, v), 0, 0).phase;
  });
  return phases;
}

}  // namespace cryored
