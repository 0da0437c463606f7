#include "training/calibration.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

#include "core/base/error.hpp"
#include "core/fourier/shells.hpp"
#include "core/reconstruct/confidence.hpp"

namespace cryored {
namespace {

using LambdaOf = std::function<double(const ShellSample&)>;

constexpr double kPriorWeights[] = {1, 2, 4, 8, 16, 64};  // compared
constexpr int kShareRounds = 100;                         // at most
constexpr double kShareChange = 1e-4;                     // of lambda, at which rounds end

/// Evenly spaced nodes from 0 to the Nyquist frequency.
std::vector<double> spaced(int count, double end) {
  std::vector<double> nodes;
  for (int i = 0; i < count; ++i) nodes.push_back(end * i / (count - 1));
  return nodes;
}

struct NormalEquations {
  std::vector<double> matrix, right;
  std::size_t n;

  explicit NormalEquations(std::size_t count) : matrix(count * count), right(count), n(count) {}
  double& at(std::size_t i, std::size_t j) { return matrix[i * n + j]; }

  /// weight (value_i - value_j)^2
  void pull_together(std::size_t i, std::size_t j, double weight) {
    at(i, i) += weight;
    at(j, j) += weight;
    at(i, j) -= weight;
    at(j, i) -= weight;
  }

  /// Minimum over 0 <= x <= 1.
  std::vector<double> solve() {
    std::vector<double> x(n, 0.5);
    for (int sweep = 0; sweep < 20000; ++sweep) {
      double change = 0;
      for (std::size_t i = 0; i < n; ++i) {
        const double* row = matrix.data() + i * n;
        double rest = right[i];
        for (std::size_t j = 0; j < n; ++j) rest -= row[j] * x[j];
        const double next = std::clamp(x[i] + rest / row[i], 0.0, 1.0);
        change = std::max(change, std::abs(next - x[i]));
        x[i] = next;
      }
      if (change < 1e-7) break;
    }
    return x;
  }
};

/// The pull of neighbouring nodes, and of nodes without any data to 0.
NormalEquations neighbours(const ConfidenceTable& table, double smoothness) {
  const std::size_t nf = table.frequency.size(), nn = table.nominal.size(), nc = table.half_fsc.size();
  const auto index = [&](std::size_t f, std::size_t n, std::size_t c) { return (f * nn + n) * nc + c; };
  NormalEquations problem(table.nodes());
  for (std::size_t f = 0; f < nf; ++f)
    for (std::size_t n = 0; n < nn; ++n)
      for (std::size_t c = 0; c < nc; ++c) {
        const std::size_t i = index(f, n, c);
        if (f + 1 < nf) problem.pull_together(i, index(f + 1, n, c), smoothness);
        if (n + 1 < nn) problem.pull_together(i, index(f, n + 1, c), smoothness);
        if (c + 1 < nc) problem.pull_together(i, index(f, n, c + 1), smoothness);
        problem.at(i, i) += 1e-6;
        // Half-maps that agree nowhere say that nothing is right; no sample comes near.
        if (nn > 1 && n == 0) problem.at(i, i) += 1e6;
      }
  return problem;
}

/// error(lambda) = constant - 2 u lambda + v lambda^2, with the prior's share as the table has lambda now.
void add_sample(NormalEquations& problem, const ConfidenceTable& table, const ShellSample& s) {
  const double q = s.prior_share(table.at(s.frequency, s.nominal, s.half_fsc), table.prior_weight);
  const double u = q * (s.ft - (1 - q) * s.yf), v = q * q * s.ff;
  const double weight = s.weight / std::max(1.0, v);  // shells of almost no truth must not outweigh all others
  const auto corners = confidence_corners(table, s.frequency, s.nominal, s.half_fsc);
  for (const auto& a : corners) {
    if (a.share == 0) continue;
    problem.right[a.node] += weight * a.share * u;
    for (const auto& b : corners) problem.at(a.node, b.node) += weight * a.share * b.share * v;
  }
}

}  // namespace

double ShellSample::prior_share(double lambda, double prior_weight) const {
  const double fsc = std::clamp(half_fsc, 0.001, 0.999), prior = weighed_prior(lambda, prior_weight) * (1 - fsc);
  return prior / (fsc + prior);
}

double ShellSample::error(double lambda, double prior_weight) const {
  const double q = prior_share(lambda, prior_weight), a = 1 - q, b = lambda * q;
  return 1 + a * a * yy + b * b * ff + 2 * (a * b * yf - a * yt - b * ft);
}

double ShellSample::correlation(double lambda, double prior_weight) const {
  const double q = prior_share(lambda, prior_weight), a = 1 - q, b = lambda * q;
  const double power = a * a * yy + b * b * ff + 2 * a * b * yf;
  return power > 0 ? (a * yt + b * ft) / std::sqrt(power) : 0;
}

std::vector<ShellSample> shell_samples(const std::string& structure, const TrainingPair& pair, const Map& denoised,
                                       double voxel) {
  std::vector<ShellSample> samples;
  if (!(pair.nominal_resolution > 0)) return samples;
  const HalfTransform y = forward(pair.input), f = forward(denoised), t = forward(pair.target);
  const auto tt = shell_products(t, t), yy = shell_products(y, y), ff = shell_products(f, f), yf = shell_products(y, f),
             yt = shell_products(y, t), ft = shell_products(f, t);
  const auto box = static_cast<double>(pair.input.nx);
  // No half-map shows more than its last filled shell, whatever a shard made before `make_pairs` heeded that says.
  const double nominal = std::min(1 / pair.nominal_resolution, (pair.cut - 1) / (box * voxel));
  const auto end = std::min<std::size_t>(static_cast<std::size_t>(std::max(pair.cut, 0)), pair.half_fsc.size());
  for (std::size_t s = 1; s < end; ++s) {
    if (!(tt[s] > 1e-12 * tt[0])) continue;
    ShellSample sample;
    sample.structure = structure;
    sample.frequency = static_cast<double>(s) / (box * voxel);
    sample.nominal = nominal;
    sample.half_fsc = pair.half_fsc[s];
    sample.yy = yy[s] / tt[s];
    sample.ff = ff[s] / tt[s];
    sample.yf = yf[s] / tt[s];
    sample.yt = yt[s] / tt[s];
    sample.ft = ft[s] / tt[s];
    samples.push_back(std::move(sample));
  }
  return samples;
}

ConfidenceTable fit_confidence(const std::vector<const ShellSample*>& samples, double voxel, ConfidenceAxes axes,
                               double smoothness, double prior_weight) {
  if (samples.empty())
    throw UsageError(Problem{"confidence", "shells of pairs", "none", "at least one", "give pairs of half-maps"});
  const double nyquist = 1 / (2 * voxel);
  ConfidenceTable table;
  table.prior_weight = prior_weight;
  table.frequency = axes.frequency ? spaced(11, nyquist) : std::vector<double>{0};
  table.nominal = axes.nominal ? spaced(9, nyquist) : std::vector<double>{0};
  table.half_fsc = axes.half_fsc ? std::vector<double>{0, 0.143, 0.35, 0.6, 0.85} : std::vector<double>{0};
  const NormalEquations pulls = neighbours(table, smoothness);
  // The share depends on lambda where the prior's weight is not 1: lambda 1 first, then what came out.
  table.lambda.assign(table.nodes(), 1);
  double change = 1;
  for (int round = 0; round < kShareRounds && change > kShareChange; ++round) {
    NormalEquations problem = pulls;
    for (const ShellSample* sample : samples) add_sample(problem, table, *sample);
    const std::vector<double> lambda = problem.solve();
    change = 0;
    for (std::size_t i = 0; i < lambda.size() && prior_weight != 1; ++i)
      change = std::max(change, std::abs(lambda[i] - table.lambda[i]));
    table.lambda = lambda;
  }
  for (double& v : table.lambda) v = std::round(v * 1e4) / 1e4;
  return table;
}

void balance_sources(std::vector<ShellSample>& samples) {
  std::map<std::size_t, double> count;
  for (const auto& s : samples) ++count[s.source];
  for (auto& s : samples)
    s.weight = static_cast<double>(samples.size()) / (static_cast<double>(count.size()) * count[s.source]);
}

std::vector<ConfidenceScore> compare_confidence(const std::vector<ShellSample>& samples, double voxel,
                                                double smoothness, double prior_weight) {
  std::map<std::string, std::size_t> group;
  std::size_t sources = 0;
  for (const auto& s : samples) {
    group[s.structure] = 0;
    sources = std::max(sources, s.source + 1);
  }
  const std::size_t groups = std::min<std::size_t>(5, group.size());
  std::size_t number = 0;
  for (auto& entry : group) entry.second = number++ % groups;

  std::vector<ConfidenceScore> scores;
  const auto judge = [&](const std::string& name, const LambdaOf& lambda, double weight) {
    ConfidenceScore score{name, {}, std::vector<ConfidenceScore::Mean>(sources)};
    double total = 0;
    std::vector<double> totals(sources);
    const auto add = [&](ConfidenceScore::Mean& mean, const ShellSample& s, double l) {
      mean.error += s.weight * std::min(10.0, s.error(l, weight));
      mean.correlation += s.weight * s.correlation(l, weight);
      mean.lambda += s.weight * l;
    };
    const auto divide = [](ConfidenceScore::Mean& mean, double by) {
      if (by == 0) return;
      for (double* v : {&mean.error, &mean.correlation, &mean.lambda}) *v /= by;
    };
    for (const auto& s : samples) {
      const double l = lambda(s);
      add(score.all, s, l);
      add(score.by_source[s.source], s, l);
      total += s.weight;
      totals[s.source] += s.weight;
    }
    divide(score.all, total);
    for (std::size_t i = 0; i < sources; ++i) divide(score.by_source[i], totals[i]);
    scores.push_back(std::move(score));
  };
  const LambdaOf none = [](const ShellSample&) { return 0.0; }, full = [](const ShellSample&) { return 1.0; },
                 ramp = [](const ShellSample&s) { return s.nominal > 0 ? confidence_ramp(1 / s.nominal) : 0.0; };
  judge("gaussian", none, 1);
  judge("red", full, 1);
  judge("cw", ramp, 1);
  const auto tables = [&](const std::string& name, ConfidenceAxes axes, double weight) {
    std::vector<ConfidenceTable> without;  // one for each group
    for (std::size_t g = 0; g < groups; ++g) {
      std::vector<const ShellSample*> others;
      for (const auto& s : samples)
        if (group[s.structure] != g) others.push_back(&s);
      without.push_back(fit_confidence(others, voxel, axes, smoothness, weight));
    }
    judge(
        name, [&](const ShellSample& s) { return without[group[s.structure]].at(s.frequency, s.nominal, s.half_fsc); },
        weight);
  };
  if (groups < 2) return scores;
  tables("one value", {false, false, false}, prior_weight);
  tables("nominal resolution", {false, true, false}, prior_weight);
  tables("frequency", {true, false, false}, prior_weight);
  tables("half-map FSC", {false, false, true}, prior_weight);
  tables("frequency, nominal resolution", {true, true, false}, prior_weight);
  tables("frequency, half-map FSC", {true, false, true}, prior_weight);
  tables("nominal resolution, half-map FSC", {false, true, true}, prior_weight);
  tables("frequency, nominal resolution, half-map FSC", {true, true, true}, prior_weight);
  for (const double weight : kPriorWeights)
    tables("prior weight " + std::to_string(static_cast<int>(weight)) + ", nominal resolution, half-map FSC", {},
           weight);
  return scores;
}

}  // namespace cryored
