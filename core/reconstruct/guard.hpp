#pragma once
// How much agreement between half-maps does the denoiser create by itself? No ground truth is needed:
// it runs on copies of the unregularised half-map whose phases are random beyond a shell. There the copies
// agree by chance only, so whatever its outputs have in common it has made. docs/guard.md.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/fourier/grid.hpp"

namespace cryored {

struct GuardOptions {
  enum class Mode {
    off,
    report,  ///< measure
    limit    ///< measure, and lower lambda where the bound is exceeded
  };
  Mode mode = Mode::off;
  double bound = 0.4;      ///< allowed share, 0 .. 1 (1 excluded); docs/guard.md says what it rests on
  double fsc_level = 0.5;  ///< phases are random from the first shell whose half-map FSC lies below
  int randomisations = 2;  ///< copies, at least 2; each costs one pass of the denoiser
  std::uint64_t seed = 1;
};

/// Vectors have one value per shell 0 .. N/2; 0 below `first_shell`.
struct GuardReport {
  bool ran = false;
  std::string why_not;                ///< when it did not run
  int first_shell = 0, passes = 0;    ///< of the denoiser
  std::vector<double> input_fsc;      ///< between the copies, mean over pairs
  std::vector<double> output_fsc;     ///< between the denoiser's outputs
  std::vector<double> created;        ///< share of its real output's power, see created_agreement()
  std::vector<double> lambda_factor;  ///< what lambda is multiplied by; 1 unless mode is limit
  int worst_shell = 0;                ///< where `created` is largest, up to the last shell looked at; 0: none
  double seconds = 0;
};

/// How much noise of its input a denoiser keeps: the mean, over the shells from 1 on with a half-map FSC from 0.143 to
/// below 0.9, of c^2 - F. c is the correlation of B/K and f(B/K) in the shell; F the share of B/K's power that is right
/// if the half-maps are: FSC, of a map joined from both 2 FSC / (1 + FSC). The truth itself would have 0, what errs
/// independently of the noise less; above 0, f agrees with what the half-maps do not share, as it does where particles
/// were aligned to what it had made (docs/guard.md). Vectors have shells 0 .. N/2. Absent without such shells.
std::optional<double> kept_noise(const std::vector<double>& half_map_fsc, const std::vector<double>& correlation,
                                 bool joined = false);

/// Above it particles were aligned badly in the refinements looked at (docs/guard.md).
inline constexpr double kKeptNoiseBound = 0.05;
/// Whether a map's kept noise is a reason to warn.
inline bool keeps_noise(const std::optional<double>& kept) { return kept && *kept > kKeptNoiseBound; }

/// The copy number `copy` (of a fixed seed always the same): amplitudes kept, phases of shells >= first_shell
/// those of white noise. Cubic maps.
Map randomise_phases(const Map& map, int first_shell, std::uint64_t seed, int copy);

/// First shell >= 2 whose FSC lies below `level`; 0 where the FSC is unknown (all zero) or stays above up to
/// `last_shell`.
int guard_shell(const std::vector<double>& fsc, double level, int last_shell);

/// Runs `denoiser` (map to map of the same box) on copies of `unregularised`; `denoised` is what it made of
/// the map itself. Shells from guard_shell() to last_shell are looked at:
///   created = clamp(FSC(f(m1), f(m2)) - FSC(m1, m2), 0, 1) sqrt(P1 P2) / P,
/// P1, P2 and P the powers of f(m1), f(m2) and f(m) in the shell, averaged over pairs, at most 1: agreement of
/// something that is weak beside the real output counts little. Throws UsageError for options out of range.
GuardReport created_agreement(const Map& unregularised, const Map& denoised, const std::vector<double>& half_map_fsc,
                              int last_shell, const std::function<Map(const Map&)>& denoiser,
                              const GuardOptions& options);

}  // namespace cryored
