#include "training/place.hpp"

#include <torch/utils.h>

#include <algorithm>
#include <fstream>
#include <set>
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
  if (choice.cuda) place.gpu = choice.gpu.uuid;
  return place;
}

bool each_has_a_gpu_of_its_own(const std::string& gpu, Ranks& ranks) {
  // Eight floats a rank that hold 16 bits each, 0 of the others: the sum is exact.
  constexpr std::size_t kDigits = 4, kFloats = 8;
  std::vector<float> all(static_cast<std::size_t>(ranks.size()) * kFloats);
  const std::size_t own = static_cast<std::size_t>(ranks.rank()) * kFloats;
  for (std::size_t i = 0; i < kFloats && (i + 1) * kDigits <= gpu.size(); ++i)
    all[own + i] = static_cast<float>(std::stoul(gpu.substr(i * kDigits, kDigits), nullptr, 16));
  ranks.sum(all);
  std::set<std::vector<float>> cards{std::vector<float>(kFloats)};  // that of none
  for (auto at = all.begin(); at != all.end(); at += kFloats)
    if (!cards.emplace(at, at + kFloats).second) return false;
  return true;
}

}  // namespace cryored
