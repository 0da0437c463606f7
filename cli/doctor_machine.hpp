#pragma once
// What cryored doctor finds out about this machine and installation.

#include <string>
#include <vector>

namespace cryored {

enum class FindingLevel { good, note, problem };

struct Finding {
  FindingLevel level = FindingLevel::good;
  std::string subject;  ///< "RELION", "weights"
  std::string text;     ///< what was found
  std::string remedy;   ///< what to do; empty when good
};

/// Checks everything that a run needs, in the order of a run. Never throws for a finding.
/// `device` and `weights` are the options in force.
std::vector<Finding> examine_machine(const std::string& device, const std::string& weights);

/// Words of the value of RELION_EXTERNAL_RECONSTRUCT_EXECUTABLE, quotes undone as the shell does.
std::vector<std::string> shell_words(const std::string& text);

}  // namespace cryored
