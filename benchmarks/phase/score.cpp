#include "benchmarks/phase/score.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numbers>
#include <random>

#include "core/fourier/shells.hpp"
#include "core/imaging/electrons.hpp"

namespace cryored {
namespace {

constexpr double kMaskMargin = 5, kMaskEdge = 10;  // A

double middle(const PhaseSetting::Range& range) { return (range.first + range.second) / 2; }

Map mask_of(const PhaseScene& scene) {
  Map mask(scene.box, scene.box, 1);
  const double centre = static_cast<double>(scene.box / 2);
  // The edge must end within the box.
  const double outer = std::min((scene.radius + kMaskMargin + kMaskEdge) / scene.pixel_size, centre - 1);
  const double inner = std::max(outer - kMaskEdge / scene.pixel_size, 1.0);
  for (std::size_t y = 0; y < scene.box; ++y)
    for (std::size_t x = 0; x < scene.box; ++x) {
      const double r = std::hypot(static_cast<double>(x) - centre, static_cast<double>(y) - centre);
      const double t = std::clamp((r - inner) / (outer - inner), 0.0, 1.0);
      mask(x, y, 0) = static_cast<float>(0.5 + 0.5 * std::cos(std::numbers::pi * t));
    }
  return mask;
}

/// mask * (image - its mean under the mask)
Map masked(const float* image, const Map& mask) {
  double sum = 0, weight = 0;
  for (std::size_t i = 0; i < mask.size(); ++i) {
    sum += mask.data[i] * image[i];
    weight += mask.data[i];
  }
  Map out(mask.nx, mask.ny, 1);
  for (std::size_t i = 0; i < mask.size(); ++i)
    out.data[i] = mask.data[i] * (image[i] - static_cast<float>(sum / weight));
  return out;
}

double power(const Map& map) {
  double sum = 0;
  for (const float v : map.data) sum += static_cast<double>(v) * v;
  return sum;
}

double area(const std::vector<double>& curve) {
  double sum = 0;
  for (std::size_t s = 1; s < curve.size(); ++s) sum += curve[s];
  return sum / static_cast<double>(curve.size() - 1);
}

double contrast_of(const float* image, const Map& mask) {
  double in = 0, weight = 0, out = 0, square = 0, count = 0;
  for (std::size_t i = 0; i < mask.size(); ++i) {
    in += mask.data[i] * image[i];
    weight += mask.data[i];
    if (mask.data[i] > 0) continue;
    out += image[i];
    square += static_cast<double>(image[i]) * image[i];
    ++count;
  }
  if (count == 0) return 0;
  const double sd = std::sqrt(std::max(square / count - out / count * out / count, 0.0));
  return sd > 0 ? (in / weight - out / count) / sd : 0;
}

ParticleImages images_of(const PhaseScene& scene, const std::vector<Map>& maps, const PhaseScene::View& view) {
  ParticleImages images{scene.box, scene.pixel_size, scene.dose, view.ctfs, {}};
  for (const Map& map : maps) images.pixels.insert(images.pixels.end(), map.data.begin(), map.data.end());
  return images;
}

std::vector<float> mean_of(ParticleImages& images) {
  const std::size_t pixels = images.box * images.box;
  std::vector<float> mean(pixels, 0);
  for (std::size_t i = 0; i < images.count(); ++i)
    for (std::size_t p = 0; p < pixels; ++p) mean[p] += images.image(i)[p] / static_cast<float>(images.count());
  return mean;
}

}  // namespace

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

PhaseScene make_scene(const Structure& structure, const std::string& name, const SceneOptions& options) {
  const PhaseSetting& setting = options.setting;
  PhaseScene scene;
  scene.structure = name;
  scene.dose = options.dose;
  scene.pixel_size = middle(setting.pixel_size);
  scene.box = setting.box;
  scene.radius = structure.radius;
  PhaseImageOptions image;
  image.box = setting.box;
  image.pixel_size = scene.pixel_size;
  image.ctf.voltage = setting.microscopes.front().first;
  image.ctf.spherical_aberration = setting.microscopes.front().second;
  image.ctf.amplitude_contrast = setting.amplitude_contrast;
  image.ctf.defocus_u = image.ctf.defocus_v = middle(setting.defocus);
  image.dose = options.dose;
  image.ice = middle(setting.ice);
  image.b_factor = middle(setting.b_factor);
  const double contrast = background_contrast(options.dose, scene.pixel_size);
  // Ice alone: one atom, so far spread out that nothing of it shows.
  Structure nothing;
  nothing.atoms.push_back({0, 0, 0, 1});
  nothing.radius = 1;
  for (int v = 0; v < options.views; ++v) {
    PhaseScene::View view;
    std::mt19937_64 random(options.seed * 1000 + static_cast<std::uint64_t>(v));
    image.rotation = random_rotation(random);
    for (int e = 0; e < options.exposures; ++e) {
      image.seed = (options.seed * 1000 + static_cast<std::uint64_t>(v)) * 1000 + static_cast<std::uint64_t>(e);
      for (const bool blank : {false, true}) {
        PhaseImageOptions one = image;
        if (blank) {
          one.seed += 500;
          one.b_factor = 1e4;
        }
        PhaseImage made = simulate_phase_image(blank ? nothing : structure, one);
        image_from_intensity(contrast, made.intensity.size(), made.intensity.data.data());
        (blank ? view.ice_only : view.exposures).push_back(std::move(made.intensity));
        if (!blank) view.truth = std::move(made.phase);
      }
      view.ctfs.push_back(image.ctf);
    }
    scene.views.push_back(std::move(view));
  }
  return scene;
}

PhaseScore score_method(PhaseMethod& method, const PhaseScene& scene, const PhaseScene& other) {
  const Map mask = mask_of(scene);
  std::vector<double> single_shell, single_area, mean_shell, mean_area, contrast, blank_power, blank_area, wrong_area;
  double seconds = 0;
  std::size_t images_done = 0;
  const auto resolution = [&](const std::vector<double>& curve) {
    return shell_resolution(crossing_shell(curve, 0.5), scene.box, scene.pixel_size);
  };
  for (std::size_t v = 0; v < scene.views.size(); ++v) {
    const PhaseScene::View& view = scene.views[v];
    const Map truth = masked(view.truth.data.data(), mask);
    const Map wrong = masked(other.views[v].truth.data.data(), mask);
    ParticleImages images = images_of(scene, view.exposures, view), blank = images_of(scene, view.ice_only, view);
    const auto start = std::chrono::steady_clock::now();
    method.retrieve(images);
    seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    images_done += images.count();
    method.retrieve(blank);
    const double truths = area(fsc(truth, wrong));
    for (std::size_t i = 0; i < images.count(); ++i) {
      const Map found = masked(images.image(i), mask), invented = masked(blank.image(i), mask);
      const auto curve = fsc(found, truth);
      single_shell.push_back(resolution(curve));
      single_area.push_back(area(curve));
      contrast.push_back(contrast_of(images.image(i), mask));
      blank_power.push_back(power(invented) / std::max(power(found), 1e-30));
      blank_area.push_back(area(fsc(invented, truth)));
      wrong_area.push_back(area(fsc(found, wrong)) - truths);
    }
    const auto mean = mean_of(images);
    const auto curve = fsc(masked(mean.data(), mask), truth);
    mean_shell.push_back(resolution(curve));
    mean_area.push_back(area(curve));
  }
  return {median(single_shell), median(single_area), median(mean_shell),
          median(mean_area),    median(contrast),    median(blank_power),
          median(blank_area),   median(wrong_area),  seconds / static_cast<double>(images_done)};
}

}  // namespace cryored
