#include "core/reconstruct/guard.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <complex>
#include <random>

#include "core/base/error.hpp"
#include "core/fourier/fft.hpp"
#include "core/fourier/shells.hpp"

namespace cryored {
namespace {

void check(const GuardOptions& options) {
  if (!(options.bound >= 0 && options.bound < 1))
    throw UsageError(Problem{"--guard-bound", "", std::to_string(options.bound), "a number from 0 to below 1", ""});
  if (!(options.fsc_level > 0 && options.fsc_level < 1))
    throw UsageError(Problem{"--guard-level", "", std::to_string(options.fsc_level), "a number between 0 and 1", ""});
  if (options.randomisations < 2)
    throw UsageError(Problem{"guard", "randomisations", std::to_string(options.randomisations), "2 or more",
                             "compare two at least"});
}

}  // namespace

Map randomise_phases(const Map& map, int first_shell, std::uint64_t seed, int copy) {
  std::mt19937_64 rng(seed * 0x9E3779B97F4A7C15ull + static_cast<std::uint64_t>(copy));
  Map noise(map.nx, map.ny, map.nz);
  // The phases of white noise are uniform and have the symmetry of a real map; the top 24 bits fit a float.
  for (float& v : noise.data) v = static_cast<float>(rng() >> 40) * 0x1p-24f - 0.5f;
  HalfTransform f = forward(map);
  const HalfTransform random = forward(noise);
  const long n = static_cast<long>(map.nx);
  std::size_t i = 0;
  for (long z = 0; z < n; ++z)
    for (long y = 0; y < n; ++y)
      for (long x = 0; x < static_cast<long>(f.nx); ++x, ++i) {
        const long ky = y <= n / 2 ? y : y - n, kz = z <= n / 2 ? z : z - n;
        if (std::lround(std::sqrt(static_cast<double>(x * x + ky * ky + kz * kz))) < first_shell) continue;
        const float size = std::abs(random.data[i]);
        f.data[i] = size > 0 ? std::abs(f.data[i]) * (random.data[i] / size) : std::complex<float>();
      }
  return inverse(std::move(f), map.nx);
}

int guard_shell(const std::vector<double>& fsc, double level, int last_shell) {
  const int end = std::min(last_shell, static_cast<int>(fsc.size()) - 1);
  bool known = false;
  for (std::size_t s = 1; s < fsc.size(); ++s) known = known || fsc[s] != 0;
  for (int s = 2; known && s <= end; ++s)
    if (fsc[static_cast<std::size_t>(s)] < level) return s;
  return 0;
}

GuardReport created_agreement(const Map& unregularised, const Map& denoised, const std::vector<double>& half_map_fsc,
                              int last_shell, const std::function<Map(const Map&)>& denoiser,
                              const GuardOptions& options) {
  check(options);
  const auto start = std::chrono::steady_clock::now();
  GuardReport report;
  const std::size_t count = unregularised.nx / 2 + 1;
  report.lambda_factor.assign(count, 1.0);
  for (auto* values : {&report.input_fsc, &report.output_fsc, &report.created}) values->assign(count, 0.0);
  report.first_shell = guard_shell(half_map_fsc, options.fsc_level, last_shell);
  if (report.first_shell == 0) {
    report.why_not = "no shell that the denoiser adds to has a half-map FSC below " +
                     std::to_string(options.fsc_level).substr(0, 4) + ", or the FSC is unknown";
    return report;
  }
  std::vector<HalfTransform> in, out;
  for (int copy = 0; copy < options.randomisations; ++copy) {
    const Map m = randomise_phases(unregularised, report.first_shell, options.seed, copy);
    in.push_back(forward(m));
    out.push_back(forward(denoiser(m)));
    ++report.passes;
  }
  const std::vector<double> real = shell_power(forward(denoised));
  std::vector<std::vector<double>> power;
  for (const auto& o : out) power.push_back(shell_power(o));
  const double pairs = 0.5 * options.randomisations * (options.randomisations - 1);
  const auto end = std::min(static_cast<std::size_t>(last_shell), count - 1);
  for (std::size_t a = 0; a < out.size(); ++a)
    for (std::size_t b = a + 1; b < out.size(); ++b) {
      const auto before = fsc(in[a], in[b]), after = fsc(out[a], out[b]);
      for (auto s = static_cast<std::size_t>(report.first_shell); s <= end; ++s) {
        report.input_fsc[s] += before[s] / pairs;
        report.output_fsc[s] += after[s] / pairs;
        if (real[s] > 0)
          report.created[s] +=
              std::clamp(after[s] - before[s], 0.0, 1.0) * std::sqrt(power[a][s] * power[b][s]) / real[s] / pairs;
      }
    }
  for (auto s = static_cast<std::size_t>(report.first_shell); s <= end; ++s) {
    double& created = report.created[s];
    created = std::min(created, 1.0);
    if (created > 0 && created > report.created[static_cast<std::size_t>(report.worst_shell)])
      report.worst_shell = static_cast<int>(s);
    // Full weight at the bound, none where all is created: no jump between iterations.
    if (options.mode == GuardOptions::Mode::limit && created > options.bound)
      report.lambda_factor[s] = (1 - created) / (1 - options.bound);
  }
  report.ran = true;
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

std::optional<double> kept_noise(const std::vector<double>& half_map_fsc, const std::vector<double>& correlation,
                                 bool joined) {
  double sum = 0;
  int count = 0;
  for (std::size_t s = 1; s < std::min(half_map_fsc.size(), correlation.size()); ++s) {
    const double fsc = half_map_fsc[s], c = correlation[s];
    if (!(fsc >= 0.143 && fsc < 0.9)) continue;
    sum += c * c - (joined ? 2 * fsc / (1 + fsc) : fsc);
    ++count;
  }
  if (count == 0) return std::nullopt;
  return sum / count;
}

}  // namespace cryored
