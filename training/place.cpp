#include "training/place.hpp"

#include <torch/utils.h>

#include <algorithm>
#include <fstream>
#include <thread>

#include "core/fourier/fft.hpp"
#include "models/device.hpp"
#include "models/torch_device.hpp"

namespace cryored {
namespace {

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line))
    if (line.starts_with("model name") && line.find(": ") != std::string::npos) return line.substr(line.find(": ") + 2);
  return "unknown processor";
}

}  // namespace

Place take_place(const TrainOptions& o, const Ranks& ranks) {
  // Ranks of one machine share its processors; a launcher that binds them has lowered the number already.
  const int share = static_cast<int>(std::thread::hardware_concurrency()) / ranks.local_size();
  const int threads = o.threads > 0 ? o.threads : std::max(1, std::min(torch::get_num_threads(), share));
  torch::set_num_threads(threads);
  set_threads(threads);
  std::string request = o.device;
  const GpuSurvey survey = request == "cpu" ? GpuSurvey{} : survey_gpus();
  if (ranks.local_size() > 1 && (request == "cuda" || (request == "auto" && !survey.gpus.empty())))
    request = "cuda:" + std::to_string(static_cast<std::size_t>(ranks.local_rank()) %
                                       std::max<std::size_t>(1, survey.gpus.size()));
  const DeviceChoice choice = choose_device(request, survey);
  Place place;
  place.device = prepare_device(choice);
  place.hardware = choice.cuda ? choice.text : processor_name();
  place.threads = threads;
  place.own_gpu = choice.cuda && !o.device.starts_with("cuda:") &&
                  static_cast<std::size_t>(ranks.local_size()) <= survey.gpus.size();
  return place;
}

}  // namespace cryored
