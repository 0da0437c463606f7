#include "training/phase_pairs.hpp"

#include <ATen/CPUGeneratorImpl.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "core/base/error.hpp"
#include "core/imaging/electrons.hpp"
#include "models/imaging/pinn_config.hpp"
#include "models/imaging/wave.hpp"

namespace cryored {
namespace {

using torch::Tensor;

Tensor tensor_of(const Map& map) {
  const auto n = static_cast<std::int64_t>(map.nx);
  return torch::from_blob(const_cast<float*>(map.data.data()), {1, n, n}).clone();
}

Map map_of(const Tensor& image) {
  const auto t = image.contiguous();
  const auto n = static_cast<std::size_t>(t.size(-1));
  Map map(n, n, 1);
  std::copy_n(t.data_ptr<float>(), map.size(), map.data.begin());
  return map;
}

/// splitmix64: independent streams from numbers that differ in one bit.
std::uint64_t mixed(std::uint64_t a, std::uint64_t b) {
  std::uint64_t z = a * 0x9e3779b97f4a7c15ull + b + 0x632be59bd9b4e019ull;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

double within(std::mt19937_64& random, const PhaseSetting::Range& range) {
  return range.first + (range.second - range.first) * std::uniform_real_distribution<double>(0, 1)(random);
}

/// Uniform in the logarithm.
double within_log(std::mt19937_64& random, const PhaseSetting::Range& range) {
  return range.first * std::pow(range.second / range.first, within(random, {0, 1}));
}

}  // namespace

PhaseExposures simulate_phase_exposures(const Structure& structure, const PhaseImageOptions& o, int count, int blanks) {
  torch::NoGradGuard no_grad;
  if (o.box < 16 || o.box % 2 || !(o.dose >= 0) || !(o.read_noise >= 0))
    throw UsageError(
        Problem{"simulated image", "box, dose, read noise",
                std::to_string(o.box) + ", " + std::to_string(o.dose) + ", " + std::to_string(o.read_noise),
                "an even box of 16 or more; 0 or more", "correct them"});
  const std::size_t padded = o.padded ? o.padded : padded_box(o.box, o.pixel_size, o.ctf);
  const auto box = static_cast<std::int64_t>(o.box), grid = static_cast<std::int64_t>(padded);
  PotentialOptions potential;
  potential.box = padded;
  potential.pixel_size = o.pixel_size;
  potential.b_factor = o.b_factor;
  potential.rotation = o.rotation;
  potential.x = o.x;
  potential.y = o.y;
  const std::vector<CtfParameters> ctfs{o.ctf};
  const Tensor v = tensor_of(projected_potential(structure, potential));
  const Tensor h = transfer_function(ctfs, grid, o.pixel_size), a = absorption(ctfs);
  const Tensor phase = phase_from_potential(v, ctfs);
  const Tensor clean = intensity(exit_wave(phase, a), h);
  const auto electrons = torch::full({1, 1, 1}, o.dose * o.pixel_size * o.pixel_size);
  const auto expose = [&](const Tensor& particle, const Tensor& without_ice, std::uint64_t seed) {
    Tensor g = without_ice;
    if (o.ice > 0) {
      IceOptions ice;
      ice.thickness = o.ice;
      ice.dose = o.dose;
      const Tensor layer = tensor_of(ice_layer(padded, o.pixel_size, ice, mixed(seed, 1)));
      g = intensity(exit_wave(particle + phase_from_potential(layer, ctfs), a), h);
    }
    g = crop_images(g, box);
    if (o.dose > 0) g = counted(g, electrons, o.read_noise, at::detail::createCPUGenerator(mixed(seed, 2)));
    return map_of(g);
  };
  PhaseExposures out{map_of(crop_images(clean, box)), map_of(crop_images(phase, box)), {}, {}};
  for (int e = 0; e < count; ++e)
    out.intensities.push_back(
        expose(phase, clean, e == 0 ? o.seed : mixed(mixed(o.seed, 6), static_cast<std::uint64_t>(e))));
  for (int e = 0; e < blanks; ++e)
    out.blanks.push_back(expose(torch::zeros_like(phase), torch::ones_like(clean),
                                mixed(mixed(o.seed, 7), static_cast<std::uint64_t>(e))));
  return out;
}

PhaseImage simulate_phase_image(const Structure& structure, const PhaseImageOptions& options) {
  PhaseExposures one = simulate_phase_exposures(structure, options, 1, 0);
  return {std::move(one.intensities[0]), std::move(one.clean), std::move(one.phase)};
}

PhaseSetting PhaseSetting::paper() {
  PhaseSetting s;
  s.name = "paper";
  s.pairs = 500;
  return s;
}

PhaseSetting PhaseSetting::general() {
  PhaseSetting s;
  s.name = "general";
  s.pixel_size = {0.9, 2};
  s.microscopes = {{200, 2}, {200, 2.7}, {300, 2.7}};
  s.defocus = {5000, 20000};
  s.astigmatism = 500;
  s.dose = {15, 60};
  s.ice = {100, 600};
  s.b_factor = {30, 120};
  s.shift = 3;
  return s;
}

PhaseSetting PhaseSetting::named(const std::string& name) {
  if (name == "paper") return paper();
  if (name == "general") return general();
  throw UsageError(Problem{"--setting", "", name, "paper or general", "see cryored train --help"});
}

nlohmann::json to_json(const PhaseSetting& s) {
  const auto range = [](const PhaseSetting::Range& r) { return nlohmann::json{r.first, r.second}; };
  return {{"name", s.name},
          {"box", s.box},
          {"pairs", s.pairs},
          {"pixel_size_A", range(s.pixel_size)},
          {"voltage_kV_and_Cs_mm", s.microscopes},
          {"amplitude_contrast", s.amplitude_contrast},
          {"defocus_A", range(s.defocus)},
          {"astigmatism_A", s.astigmatism},
          {"dose_per_A2", range(s.dose)},
          {"ice_A", range(s.ice)},
          {"b_factor_A2", range(s.b_factor)},
          {"shift_A", s.shift}};
}

PhaseDraw draw_phase_example(const PhaseSetting& s, std::size_t structures, std::uint64_t seed, std::uint64_t group,
                             std::uint64_t number) {
  // Fixed pairs: the number picks one, and everything else follows from which it is.
  if (s.pairs > 0) {
    number = mixed(mixed(seed, 3), number) % static_cast<std::uint64_t>(s.pairs);
    group = 0;
  }
  std::mt19937_64 shared(mixed(mixed(seed, 4), group)), own(mixed(mixed(seed, 5), number));
  PhaseDraw d;
  auto& image = d.image;
  image.box = s.box;
  image.pixel_size = within_log(shared, s.pixel_size);
  const double about = within_log(shared, s.defocus);
  const PhaseSetting::Range near{std::max(s.defocus.first, 0.95 * about), std::min(s.defocus.second, 1.05 * about)};
  d.structure = own() % structures;
  const auto& microscope = s.microscopes[own() % s.microscopes.size()];
  image.ctf.voltage = microscope.first;
  image.ctf.spherical_aberration = microscope.second;
  image.ctf.amplitude_contrast = s.amplitude_contrast;
  const double defocus = within(own, near), half = within(own, {0, s.astigmatism}) / 2;
  image.ctf.defocus_u = defocus + half;
  image.ctf.defocus_v = defocus - half;
  image.ctf.defocus_angle = within(own, {0, 180});
  image.dose = within(own, s.dose);
  image.ice = within(own, s.ice);
  image.b_factor = within(own, s.b_factor);
  image.rotation = random_rotation(own);
  std::normal_distribution<double> shift(0, s.shift > 0 ? s.shift : 1);
  image.x = s.shift > 0 ? shift(own) : 0;
  image.y = s.shift > 0 ? shift(own) : 0;
  image.seed = own();
  // One grid for the whole group: the one that the worst of its microscopes needs.
  for (const auto& [voltage, cs] : s.microscopes) {
    CtfParameters worst = image.ctf;
    worst.voltage = voltage;
    worst.spherical_aberration = cs;
    for (const double extreme : {near.first, near.second + s.astigmatism / 2}) {
      worst.defocus_u = worst.defocus_v = extreme;
      image.padded = std::max(image.padded, padded_box(s.box, image.pixel_size, worst, kPinnGridResolution));
    }
  }
  return d;
}

}  // namespace cryored
