#include "cli/common_options.hpp"

#include "core/base/error.hpp"

namespace cryored {

OptionSpec json_option(const std::string& help) {
  OptionSpec option{"json", OptionKind::flag, "", "no", help};
  option.persistent = false;  // a script asks for it where it reads it
  return option;
}

OptionSpec device_option() {
  return {"device", OptionKind::device, "DEVICE", "auto",
          "what computes: cpu, cuda, cuda:N (the N-th GPU that the driver shows), or auto: a GPU where the machine has "
          "one (where cryored was built without CUDA, for the network only), else the CPU. A GPU that is there but "
          "cannot be used is an error, never a quiet CPU"};
}

OptionSpec precision_option() {
  return {"precision",
          OptionKind::choice,
          "P",
          "float32",
          "number format inside the network: float32, or bf16 (faster where the hardware has it, slightly less exact)",
          {"float32", "bf16"}};
}

OptionSpec weights_option() {
  return {"weights", OptionKind::path, "FILE", "",
          "weights of the network; without it those of this installation (cryored weights lists them), of several "
          "denoisers the one that the map's resolution asks for (docs/red.md)"};
}

OptionSpec threads_option() {
  OptionSpec option{
      "threads", OptionKind::integer, "N", "",
      "threads on the CPU; without it the processors this process may use (affinity mask, control group), "
      "divided among the ranks that reconstruct at the same time on this machine"};
  option.minimum = 1;
  option.maximum = 1024;
  return option;
}

OptionSpec pixel_size_option(const std::string& fallback) {
  OptionSpec option{"pixel-size", OptionKind::number, "A", "", "pixel size in A; without it " + fallback};
  option.minimum = 0.01;
  option.maximum = 1000;
  return option;
}

std::int64_t even_box(const Settings& settings) {
  const std::int64_t box = settings.integer("box");
  if (box % 2 != 0)
    throw UsageError(Problem{"--box", "", std::to_string(box), "an even number",
                             "give " + std::to_string(box - 1) + " or " + std::to_string(box + 1)});
  return box;
}

}  // namespace cryored
