#include "core/base/output_path.hpp"

#include <filesystem>

#include "core/base/error.hpp"

namespace cryored {

void refuse_input_as_output(const std::vector<std::string>& inputs, const std::string& output) {
  for (const std::string& input : inputs) {
    std::error_code missing;
    if (std::filesystem::equivalent(input, output, missing))
      throw UsageError(Problem{output, "output", "the input " + input, "a file that is not read",
                               "give the output another name or folder"});
  }
}

}  // namespace cryored
