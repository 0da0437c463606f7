#include "evaluation/benchmark_summary.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "core/fourier/shells.hpp"
#include "evaluation/benchmark.hpp"
#include "evaluation/relion_run.hpp"

namespace cryored {
namespace {

double nyquist_shell(const CellRecord& r) { return static_cast<double>(r.score.box) / 2; }

bool against_plain(const std::string& mode) { return mode != "plain" && mode != "known-angles"; }

std::string without_seed(const std::string& name) {
  const std::size_t at = name.rfind("_seed");
  return at == std::string::npos ? name : name.substr(0, at);
}

/// Sum of squares about the mean, and degrees of freedom.
void pool(const std::vector<double>& values, double& squares, int& freedom) {
  if (values.size() < 2) return;
  double mean = 0;
  for (const double v : values) mean += v / static_cast<double>(values.size());
  for (const double v : values) squares += (v - mean) * (v - mean);
  freedom += static_cast<int>(values.size()) - 1;
}

Spreads spreads_of(const std::vector<DataSetRecords>& data_sets) {
  std::map<std::pair<std::string, std::string>, std::vector<const CellRecord*>> groups;
  for (const DataSetRecords& d : data_sets)
    for (const auto& [label, record] : d.by_label)
      if (mode_parts(record->mode).refines) groups[{d.family, label}].push_back(record);
  Spreads spreads;
  double shells = 0, angles = 0;
  int shell_freedom = 0, angle_freedom = 0;
  std::set<std::string> families;
  for (const auto& [key, group] : groups) {
    std::vector<double> shell, angle;
    for (const CellRecord* r : group) {
      if (judged(*r)) shell.push_back(truth_shell(*r, true));
      if (std::isfinite(r->score.angle_median)) angle.push_back(std::log(std::max(r->score.angle_median, 1e-3)));
    }
    if (shell.size() > 1) families.insert(key.first);
    pool(shell, shells, shell_freedom);
    pool(angle, angles, angle_freedom);
  }
  spreads.families = static_cast<int>(families.size());
  if (shell_freedom > 0) spreads.shells = std::sqrt(shells / shell_freedom);
  if (angle_freedom > 0) spreads.log_angle = std::sqrt(angles / angle_freedom);
  return spreads;
}

/// "4LW4, SNR 0.2": for people.
std::string title_of(const DataSetRecords& d) {
  const CellRecord& r = d.any();
  const auto particles = nlohmann::json::parse(r.particles);
  std::string title =
      r.structure + ", " +
      (r.factor > 0 ? fmt::format("factor {:g}", r.factor) : fmt::format("SNR {:g}", r.requested_snr()));
  const double pixel = particles.value("pixel_size_A", 0.0);
  if (pixel != ParticleOptions().pixel_size) title += fmt::format(", {:g} A/pixel", pixel);
  if (particles.contains("ctf")) title += ", CTF";
  if (particles.contains("coloured_noise")) title += ", coloured noise";
  if (particles.contains("randomise_phases_beyond_A"))
    title += fmt::format(", random phases beyond {:g} A", particles["randomise_phases_beyond_A"].get<double>());
  if (particles.value("count", 2000) != 2000) title += fmt::format(", {} particles", particles.value("count", 0));
  if (r.seed != 1) title += fmt::format(", seed {}", r.seed);
  return title;
}

}  // namespace

const MapScore* judged(const CellRecord& r) {
  const ModeParts parts = mode_parts(r.mode);
  return judged(r.score, parts.denoises && parts.refines, r.end == describe(RunEnd::converged));
}

double truth_shell(const CellRecord& r, bool masked) {
  const MapScore* map = judged(r);
  return map ? crossing_shell(masked ? map->fsc_masked : map->fsc, 0.5) : std::numeric_limits<double>::quiet_NaN();
}

double inflation(const CellRecord& r) { return crossing_shell(r.score.final_half_fsc, 0.143) - truth_shell(r, false); }

const MapScore* regularised(const CellRecord& r) {
  const ModeParts parts = mode_parts(r.mode);
  return denoised(r.score, parts.denoises, parts.refines && r.end == describe(RunEnd::converged));
}

std::optional<double> invented(const CellRecord& r) {
  const double beyond = nlohmann::json::parse(r.particles).value("randomise_phases_beyond_A", 0.0);
  if (beyond <= 0) return {};
  // Shell s begins at s - 0.5: the first one that lies beyond as a whole.
  const auto first =
      static_cast<std::size_t>(std::ceil(static_cast<double>(r.score.box) * r.score.pixel_size / beyond + 0.5));
  double sum = 0;
  int count = 0;
  for (std::size_t s = first; s < r.score.final_half_fsc.size(); ++s) sum += r.score.final_half_fsc[s], ++count;
  return count > 0 ? sum / count : 0;
}

std::string describe(Verdict v) { return v == Verdict::better ? "better" : v == Verdict::worse ? "worse" : "same"; }

std::optional<Verdict> verdict(double difference, std::optional<double> spread) {
  if (!spread || !std::isfinite(difference)) return {};
  if (difference > 2 * *spread) return Verdict::better;
  return difference < -2 * *spread ? Verdict::worse : Verdict::same;
}

std::map<const CellRecord*, std::string> labels(const std::vector<CellRecord>& records) {
  const auto kind = [](const CellRecord& r) { return std::pair(r.mode, r.score.pixel_size); };
  std::map<std::pair<std::string, double>, std::set<std::string>> weights;
  for (const CellRecord& r : records) weights[kind(r)].insert(r.key());
  std::map<const CellRecord*, std::string> out;
  for (const CellRecord& r : records) out[&r] = weights[kind(r)].size() > 1 ? keyed_mode(r.mode, r.key()) : r.mode;
  return out;
}

bool BenchmarkSummary::counts(const DataSetRecords& d) const {
  if (!d.plain || invented(*d.plain)) return false;
  const CellRecord& p = *d.plain;
  return judged(p)->resolution <= hopeless && truth_shell(p, true) < nyquist_shell(p) - 1;
}

std::optional<Verdict> resolution_verdict(const BenchmarkSummary& s, const DataSetRecords& d, const CellRecord& r) {
  if (!d.plain || !against_plain(r.mode)) return {};
  return verdict(truth_shell(r, true) - truth_shell(*d.plain, true), s.spreads.shells);
}

BenchmarkSummary summarise(const std::vector<CellRecord>& records, double hopeless,
                           const std::vector<std::string>& structures) {
  BenchmarkSummary summary;
  summary.hopeless = hopeless;
  const auto label = labels(records);
  std::map<std::string, DataSetRecords> sets;
  for (const CellRecord& r : records) {
    DataSetRecords& d = sets[r.data_set];
    d.name = r.data_set;
    d.family = without_seed(r.data_set);
    d.by_label[label.at(&r)] = &r;
    if (r.mode == "plain") d.plain = &r;
  }
  for (auto& [name, d] : sets) {
    d.title = title_of(d);
    const auto p = nlohmann::json::parse(d.any().particles);
    for (const char* key : {"ctf", "coloured_noise", "randomise_phases_beyond_A", "noise_only"})
      d.usual = d.usual && !p.contains(key);
    d.usual = d.usual && p.value("pixel_size_A", 0.0) == ParticleOptions().pixel_size;
    summary.data_sets.push_back(std::move(d));
  }
  const auto kind = [&](const DataSetRecords& d) {
    const CellRecord& r = d.any();
    const auto place = std::find(structures.begin(), structures.end(), r.structure) - structures.begin();
    return std::tuple(r.large, !d.usual, r.seed != 1, place, r.structure,
                      -(r.factor > 0 ? r.factor : r.requested_snr()), d.name);
  };
  std::stable_sort(summary.data_sets.begin(), summary.data_sets.end(),
                   [&](const DataSetRecords& a, const DataSetRecords& b) { return kind(a) < kind(b); });
  // Ceiling and plain, then what is made of it, then the refinements by name.
  std::set<std::tuple<int, std::string>> columns;
  for (const CellRecord& r : records) {
    const int rank = r.mode == "known-angles" ? 0 : r.mode == "plain" ? 1 : r.mode == "plain+denoise" ? 2 : 3;
    columns.insert({rank, label.at(&r)});
  }
  for (const auto& [rank, name] : columns) summary.columns.push_back(name);
  summary.spreads = spreads_of(summary.data_sets);

  for (const std::string& name : summary.columns) {
    ModeSummary m;
    m.label = name;
    bool compared = false;
    double inflations = 0, of_plain = 0;
    for (const DataSetRecords& d : summary.data_sets) {
      const auto found = d.by_label.find(name);
      if (found == d.by_label.end() || !d.plain || !against_plain(found->second->mode)) continue;
      compared = true;
      const CellRecord& r = *found->second;
      if (!judged(r)) continue;
      ++m.data_sets;
      if (mode_parts(r.mode).refines) {
        const double mine = inflation(r), plain = inflation(*d.plain);
        inflations += mine, of_plain += plain;
        m.mean_inflation = inflations / m.data_sets;
        m.plain_inflation = of_plain / m.data_sets;
        if (mine - plain > m.most_inflation_beyond_plain) {
          m.most_inflation_beyond_plain = mine - plain;
          m.where = d.title;
        }
      }
      if (!summary.counts(d)) continue;
      ++m.counting;
      const double gain = judged(*d.plain)->resolution_masked / judged(r)->resolution_masked - 1;
      m.mean_gain += gain;
      m.least_gain = std::min(m.least_gain, gain);
      if (const MapScore* map = regularised(r)) {
        m.regularised_gain += judged(*d.plain)->resolution_masked / map->resolution_masked - 1;
        ++m.regularised;
      }
      if (const auto v = resolution_verdict(summary, d, r))
        ++(*v == Verdict::better ? m.better : *v == Verdict::same ? m.same : m.worse);
      const double own = r.score.angle_median, plain = d.plain->score.angle_median;
      if (!std::isfinite(own) || !std::isfinite(plain)) continue;
      ++m.angles_compared;
      const double angle = std::log(std::max(own, 1e-3) / std::max(plain, 1e-3));
      if (angle > 2 * summary.spreads.log_angle.value_or(0)) ++m.angles_worse;
    }
    if (m.counting > 0) m.mean_gain /= m.counting;
    if (m.regularised > 0) m.regularised_gain /= m.regularised;
    if (compared) summary.modes.push_back(std::move(m));
  }
  return summary;
}

}  // namespace cryored
