#pragma once
// A method of cryored phase by one word with its numbers, "wiener:10:100": for commands that compare several.

#include <memory>
#include <string>
#include <vector>

#include "cli/options.hpp"
#include "core/particles/phase_method.hpp"

namespace cryored {

struct NamedPhaseMethod {
  std::string word;  ///< as given
  CtfState ctf = CtfState::as_before;
  std::unique_ptr<PhaseMethod> method;
  std::string weights, weights_sha256;  ///< of a network's file, else empty

  std::string file_name() const;  ///< the word, fit for the name of a file
};

/// What the words are, for help texts and messages.
extern const char* const kPhaseMethodWords;

/// raw (the image as it is), lowpass:A, flip, wiener:SNR:B, iterative:ROUNDS:A, tv:ROUNDS:STRENGTH, pinn (of
/// --weights), pinn:WEIGHTS (a file or a name), separated by commas in the option `option`; each once. The settings'
/// --device and
/// --precision say how they compute.
/// Throws UsageError naming the option and the word.
std::vector<NamedPhaseMethod> named_phase_methods(const Settings& settings, const std::string& option, int threads);

}  // namespace cryored
