#include "evaluation/phase_score.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <numbers>

#include "core/base/error.hpp"
#include "core/fourier/fft.hpp"
#include "core/fourier/shells.hpp"

namespace cryored {
namespace {

constexpr double kMargin = 5, kEdge = 10;  // A

double power(const Map& map) {
  double sum = 0;
  for (const float v : map.data) sum += static_cast<double>(v) * v;
  return sum;
}

ParticleImages images_of(const PhaseScene& scene, const std::vector<Map>& maps, const CtfParameters& ctf) {
  ParticleImages images{scene.box, scene.pixel_size, scene.dose, std::vector<CtfParameters>(maps.size(), ctf), {}};
  images.pixels.reserve(maps.size() * scene.box * scene.box);
  for (const Map& map : maps) images.pixels.insert(images.pixels.end(), map.data.begin(), map.data.end());
  return images;
}

Map map_of(const float* image, std::size_t box) {
  Map map(box, box, 1);
  std::copy_n(image, map.size(), map.data.begin());
  return map;
}

Map mean_of(ParticleImages& images) {
  Map mean(images.box, images.box, 1);
  mean.fill(0);
  for (std::size_t i = 0; i < images.count(); ++i)
    for (std::size_t p = 0; p < mean.size(); ++p)
      mean.data[p] += images.image(i)[p] / static_cast<float>(images.count());
  return mean;
}

Map blurred(const Map& map, double sd) {
  HalfTransform t = forward(map);
  const double n = static_cast<double>(map.nx), fall = 2 * std::numbers::pi * std::numbers::pi * sd * sd / (n * n);
  for (std::size_t y = 0; y < t.ny; ++y)
    for (std::size_t x = 0; x < t.nx; ++x) {
      const auto kx = static_cast<double>(x), ky = static_cast<double>(signed_frequency(y, t.ny));
      t(x, y, 0) *= static_cast<float>(std::exp(-fall * (kx * kx + ky * ky)));
    }
  return inverse(t, map.nx);
}

std::vector<double> median_curve(const std::vector<std::vector<double>>& curves) {
  std::vector<double> out;
  for (std::size_t s = 0; !curves.empty() && s < curves.front().size(); ++s) {
    std::vector<double> ring;
    for (const auto& curve : curves) ring.push_back(curve[s]);
    out.push_back(median(std::move(ring)));
  }
  return out;
}

void require_finite(const ParticleImages& images, const PhaseMethod& method) {
  for (const float v : images.pixels)
    if (!std::isfinite(v))
      throw Error(Problem{method.description(), "result", "a value that is not finite", "finite images",
                          "report it, with the command"});
}

}  // namespace

Map particle_disc(std::size_t box, double pixel_size, double radius) {
  Map mask(box, box, 1);
  const double centre = static_cast<double>(box / 2);
  // The edge must end within the box.
  const double outer = std::min((radius + kMargin + kEdge) / pixel_size, centre - 1);
  const double inner = std::max(outer - kEdge / pixel_size, 1.0);
  for (std::size_t y = 0; y < box; ++y)
    for (std::size_t x = 0; x < box; ++x) {
      const double r = std::hypot(static_cast<double>(x) - centre, static_cast<double>(y) - centre);
      const double t = std::clamp((r - inner) / (outer - inner), 0.0, 1.0);
      mask(x, y, 0) = static_cast<float>(0.5 + 0.5 * std::cos(std::numbers::pi * t));
    }
  return mask;
}

Map outline_mask(const Map& truth, double pixel_size) {
  Map mask = blurred(truth, 2 / pixel_size);
  const float limit = 0.1f * *std::max_element(mask.data.begin(), mask.data.end());
  for (float& v : mask.data) v = v > limit ? 1.f : 0.f;
  mask = blurred(mask, 1.5 / pixel_size);
  for (float& v : mask.data) v = std::clamp(v, 0.f, 1.f);
  return mask;
}

Map under_mask(const float* image, const Map& mask) {
  double sum = 0, weight = 0;
  for (std::size_t i = 0; i < mask.size(); ++i) {
    sum += static_cast<double>(mask.data[i]) * image[i];
    weight += mask.data[i];
  }
  const auto mean = static_cast<float>(sum / weight);
  Map out(mask.nx, mask.ny, 1);
  for (std::size_t i = 0; i < mask.size(); ++i) out.data[i] = mask.data[i] * (image[i] - mean);
  return out;
}

double frc_resolution(const std::vector<double>& frc, std::size_t box, double pixel_size) {
  bool above = false;
  for (std::size_t s = 1; s < frc.size(); ++s) {
    if (above && frc[s] < 0.5) {
      const double ring = static_cast<double>(s - 1) + (frc[s - 1] - 0.5) / (frc[s - 1] - frc[s]);
      return shell_resolution(ring, box, pixel_size);
    }
    above = frc[s] >= 0.5;
  }
  return shell_resolution(above ? static_cast<double>(frc.size() - 1) : 0, box, pixel_size);
}

double frc_area(const std::vector<double>& frc) {
  if (frc.size() < 2) return 0;
  double sum = 0;
  for (std::size_t s = 1; s < frc.size(); ++s) sum += frc[s];
  return sum / static_cast<double>(frc.size() - 1);
}

double image_contrast(const float* image, const Map& truth, const Map& mask) {
  const float limit = 0.2f * *std::max_element(truth.data.begin(), truth.data.end());
  double in = 0, inside = 0, out = 0, square = 0, outside = 0;
  for (std::size_t i = 0; i < mask.size(); ++i) {
    if (truth.data[i] > limit) {
      in += image[i];
      ++inside;
    }
    if (mask.data[i] > 0) continue;
    out += image[i];
    square += static_cast<double>(image[i]) * image[i];
    ++outside;
  }
  if (inside == 0 || outside == 0) return 0;
  const double mean = out / outside, variance = square / outside - mean * mean;
  // What rounding leaves of a constant is no SD.
  return variance > 1e-12 * square / outside ? (in / inside - mean) / std::sqrt(variance) : 0;
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

PhaseScore score_phase_method(PhaseMethod& method, const PhaseScene& scene, const std::vector<Map>& other) {
  const Map mask = particle_disc(scene.box, scene.pixel_size, scene.radius);
  PhaseScore score;
  std::vector<Map> wrong;
  for (const Map& map : other) wrong.push_back(under_mask(map.data.data(), mask));
  if (wrong.size() < scene.views.size() || scene.views.empty())
    throw UsageError(Problem{"phase score", "views of the other molecule", std::to_string(wrong.size()),
                             "as many as the scene's, and one or more", ""});
  std::vector<std::vector<double>> single_curves, mean_curves;
  double seconds = 0, images_done = 0;
  const auto retrieve = [&](ParticleImages& images) {
    const auto start = std::chrono::steady_clock::now();
    if (images.count() > 0) method.retrieve(images);
    seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    images_done += static_cast<double>(images.count());
    require_finite(images, method);
  };
  for (const PhaseScene::View& view : scene.views) {
    const Map truth = under_mask(view.truth.data.data(), mask);
    const Map outline = outline_mask(view.truth, scene.pixel_size),
              outlined = under_mask(view.truth.data.data(), outline);
    std::vector<double> shared;
    for (const Map& map : wrong) shared.push_back(frc_area(fsc(truth, map)));
    ParticleImages images = images_of(scene, view.exposures, view.ctf);
    retrieve(images);
    double found_power = 0;
    for (std::size_t i = 0; i < images.count(); ++i) {
      const Map found = under_mask(images.image(i), mask);
      found_power += power(found) / static_cast<double>(images.count());
      auto curve = fsc(found, truth);
      score.single_resolution.push_back(frc_resolution(curve, scene.box, scene.pixel_size));
      score.single_area.push_back(frc_area(curve));
      score.single_outline.push_back(frc_area(fsc(under_mask(images.image(i), outline), outlined)));
      score.contrast.push_back(image_contrast(images.image(i), view.truth, mask));
      double most = -std::numeric_limits<double>::infinity();
      for (std::size_t w = 0; w < wrong.size(); ++w) most = std::max(most, frc_area(fsc(found, wrong[w])) - shared[w]);
      score.wrong_area.push_back(most);
      single_curves.push_back(std::move(curve));
    }
    const Map mean = mean_of(images);
    auto curve = fsc(under_mask(mean.data.data(), mask), truth);
    score.mean_resolution.push_back(frc_resolution(curve, scene.box, scene.pixel_size));
    score.mean_area.push_back(frc_area(curve));
    score.mean_outline.push_back(frc_area(fsc(under_mask(mean.data.data(), outline), outlined)));
    mean_curves.push_back(std::move(curve));
    if (score.single.size() == 0) {
      score.single = map_of(images.image(0), scene.box);
      score.mean = mean;
    }

    ParticleImages blank = images_of(scene, view.blanks, view.ctf);
    retrieve(blank);
    std::vector<Map> invented;
    for (std::size_t i = 0; i < blank.count(); ++i) invented.push_back(under_mask(blank.image(i), mask));
    for (std::size_t i = 0; i < invented.size(); ++i) {
      score.blank_power.push_back(power(invented[i]) / std::max(found_power, 1e-30));
      score.blank_area.push_back(frc_area(fsc(invented[i], truth)));
      if (i > 0) score.blank_repeat.push_back(frc_area(fsc(invented[i], invented[i - 1])));
    }
  }
  score.single_frc = median_curve(single_curves);
  score.mean_frc = median_curve(mean_curves);
  score.seconds = seconds / std::max(images_done, 1.0);
  return score;
}

PhaseSummary summarise(const std::vector<const PhaseScore*>& scores) {
  const auto over_all = [&](std::vector<double> PhaseScore::*field) {
    std::vector<double> all;
    for (const PhaseScore* s : scores) all.insert(all.end(), (s->*field).begin(), (s->*field).end());
    return median(std::move(all));
  };
  PhaseSummary m;
  m.single_resolution = over_all(&PhaseScore::single_resolution);
  m.single_area = over_all(&PhaseScore::single_area);
  m.mean_resolution = over_all(&PhaseScore::mean_resolution);
  m.mean_area = over_all(&PhaseScore::mean_area);
  m.single_outline = over_all(&PhaseScore::single_outline);
  m.mean_outline = over_all(&PhaseScore::mean_outline);
  m.contrast = over_all(&PhaseScore::contrast);
  m.blank_power = over_all(&PhaseScore::blank_power);
  m.blank_area = over_all(&PhaseScore::blank_area);
  m.blank_repeat = over_all(&PhaseScore::blank_repeat);
  m.wrong_area = over_all(&PhaseScore::wrong_area);
  std::vector<double> seconds;
  for (const PhaseScore* s : scores) seconds.push_back(s->seconds);
  m.seconds = median(seconds);
  return m;
}

}  // namespace cryored
