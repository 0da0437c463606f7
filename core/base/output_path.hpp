#pragma once
// Outputs that would take the place of what they are made from.

#include <string>
#include <vector>

namespace cryored {

/// Throws UsageError where `output` is one of `inputs` under whatever name: other spelling, link. Files that are not
/// there are no one's input.
void refuse_input_as_output(const std::vector<std::string>& inputs, const std::string& output);

/// Throws UsageError where the outputs of two options are one file, there or not yet.
void refuse_same_output(const std::string& option, const std::string& output, const std::string& other_option,
                        const std::string& other);

}  // namespace cryored
