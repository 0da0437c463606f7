#include "cli/builtin_denoiser.hpp"

#include <charconv>
#include <chrono>
#include <thread>

#include "core/base/error.hpp"
#include "core/base/sha256.hpp"

namespace cryored {
namespace {

constexpr const char* prefix = "builtin:";

/// Seconds of "builtin:wait=SECONDS", 0 of "builtin:identity".
double waiting_time(const std::string& weights) {
  const std::string name = weights.substr(std::string(prefix).size());
  if (name == "identity") return 0;
  double seconds = -1;
  if (name.rfind("wait=", 0) == 0) {
    const char* end = name.data() + name.size();
    const auto [stop, error] = std::from_chars(name.data() + 5, end, seconds);
    if (error != std::errc() || stop != end || !(seconds >= 0 && seconds <= 86400)) seconds = -1;
  }
  if (seconds < 0)
    throw UsageError(Problem{"--weights", "", weights, "builtin:identity or builtin:wait=SECONDS, which serve tests",
                             "name a weights file"});
  return seconds;
}

class Builtin : public BlockDenoiser {
 public:
  explicit Builtin(const std::string& weights) : info_(builtin_info(weights)), seconds_(waiting_time(weights)) {}

  double voxel_size() const override { return 0; }
  const WeightsInfo& weights() const override { return info_; }
  std::string device_text() const override { return "CPU"; }
  std::string description() const override { return info_.path; }
  const Pass& last_pass() const override { return pass_; }
  void set_pass_options(const PassOptions& options) override { checkpoint_ = options.checkpoint; }
  void release_memory() override {}

  Map denoise(const Map& map) override {
    using Clock = std::chrono::steady_clock;
    const auto start = Clock::now();
    const auto until = start + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds_));
    while (checkpoint_) {
      checkpoint_();
      if (Clock::now() >= until) break;
      std::this_thread::sleep_until(std::min(until, Clock::now() + std::chrono::milliseconds(5)));
    }
    pass_ = {static_cast<int>(map.nx), 0, 1, 1, std::chrono::duration<double>(Clock::now() - start).count()};
    return map;
  }

 private:
  WeightsInfo info_;
  double seconds_;
  Pass pass_;
  std::function<void()> checkpoint_;
};

}  // namespace

bool is_builtin(const std::string& weights) { return weights.rfind(prefix, 0) == 0; }

WeightsInfo builtin_info(const std::string& weights) {
  waiting_time(weights);
  WeightsInfo info;
  info.path = info.name = weights;
  info.sha256 = sha256_bytes(weights.data(), weights.size());
  return info;
}

std::unique_ptr<BlockDenoiser> make_builtin(const std::string& weights) { return std::make_unique<Builtin>(weights); }

}  // namespace cryored
