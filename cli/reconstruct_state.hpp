#pragma once
// One run of a reconstruction while it goes on, for reconstruct_run.cpp and reconstruct_record.cpp.

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "cli/reconstruct_run.hpp"
#include "core/reconstruct/cleanup.hpp"
#include "models/device.hpp"

namespace cryored {

/// Seconds of each stage, in order.
class Stages {
 public:
  /// Ends the stage that began with the last call.
  void end(const std::string& name) {
    const auto now = Clock::now();
    add(name, seconds(last_, now));
    last_ = now;
  }
  void add(const std::string& name, double value) { record_[name] = value; }
  double total() const { return seconds(start_, Clock::now()); }
  const Json& record() const { return record_; }

 private:
  using Clock = std::chrono::steady_clock;
  static double seconds(Clock::time_point a, Clock::time_point b) {
    return std::chrono::duration<double>(b - a).count();
  }
  Clock::time_point start_ = Clock::now(), last_ = start_;
  Json record_ = Json::object();
};

/// One run, filled step by step.
struct ReconstructRun {
  ReconstructRun(const Settings& in_force, const RunPlace& where)
      : settings(in_force), place(where), intent(intend_reconstruction(in_force)) {}

  const Settings& settings;
  const RunPlace& place;
  RunIntent intent;
  const ReconstructRequest& request = intent.request;
  const ReconstructDecision& decision = intent.decision;
  std::string requested_device = place.device.empty() ? settings.text("device") : place.device;
  Stages stages;
  int thread_count = 1;
  ReconstructReport report;
  std::unique_ptr<LazyDenoiser> denoiser;  ///< present whenever the options ask for one, loaded or not
  DeviceChoice device_choice;              ///< what --device led to; meaningful with `denoiser` or `gpu`
  std::optional<int> gpu;                  ///< where B and K become maps; none: the CPU
  std::string device;                      ///< "CPU (2 threads)"
  std::optional<CleanupReport> cleanup;    ///< with --cleanup
};

}  // namespace cryored
