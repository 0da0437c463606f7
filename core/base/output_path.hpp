#pragma once
// Outputs that would take the place of what they are made from.

#include <string>
#include <vector>

namespace cryored {

/// Throws UsageError where `output` is one of `inputs` under whatever name: other spelling, link. Files that are not
/// there are no one's input.
void refuse_input_as_output(const std::vector<std::string>& inputs, const std::string& output);

}  // namespace cryored
