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

void refuse_same_output(const std::string& option, const std::string& output, const std::string& other_option,
                        const std::string& other) {
  const auto place = [](const std::string& path) {
    std::error_code none;
    const auto absolute = std::filesystem::absolute(path, none);
    const auto canonical = std::filesystem::weakly_canonical(absolute, none);
    return none ? absolute.lexically_normal() : canonical;
  };
  std::error_code missing;
  if (place(output) == place(other) || std::filesystem::equivalent(output, other, missing))
    throw UsageError(Problem{option + " and " + other_option, "", output + " for both", "two files",
                             "give one of them another name"});
}

}  // namespace cryored
