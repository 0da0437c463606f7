#pragma once
// An engine that computes nothing: runs last until they are let go, so that the tests decide what happens when.

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "daemon/queue.hpp"
#include "daemon/refused.hpp"

namespace cryored_test {

using namespace cryored::daemon;
namespace base = cryored;

/// words: [0] the job, [1] the map's name, then options: half=1 it=3 device=cpu memory=.. least=.. full=N lost bad
class FakeEngine : public Engine {
 public:
  explicit FakeEngine(const std::vector<std::string>& names) {
    for (const auto& name : names) devices_.push_back({name, "fake " + name, 0, false});
  }

  const std::vector<Device>& devices() const override { return devices_; }
  Device& device(std::size_t i) { return devices_[i]; }

  Plan examine(const Request& request) override {
    Plan plan;
    plan.facts.job = request.words.at(0);
    plan.facts.map = request.words.at(1);
    plan.memory = plan.least_memory = number(request, "memory", 0);
    plan.least_memory = number(request, "least", plan.memory);
    plan.facts.half = static_cast<int>(number(request, "half", 0));
    plan.facts.iteration = static_cast<int>(number(request, "it", 0));
    if (const auto device = option(request, "device"); !device.empty()) plan.devices = {device};
    if (!option(request, "bad").empty()) throw Refused(base::UsageError("bad words"), plan.facts);
    return plan;
  }

  cryored::daemon::Outcome run(const Request& request, const Plan& plan, const Turn& turn,
                               const CancelToken& cancel) override {
    std::unique_lock lock(mutex_);
    started_.push_back(plan.facts.map + "@" + turn.device->name);
    limits_.push_back(turn.memory_limit);
    change_.notify_all();
    if (full_[plan.facts.map]++ < static_cast<int>(number(request, "full", 0))) throw DeviceFull{"the card is full"};
    while (!all_free_ && !free_.count(plan.facts.map) && !cancel.cancelled())
      change_.wait_for(lock, std::chrono::milliseconds(1));
    if (cancel.cancelled()) throw Cancelled{};
    if (!option(request, "lost").empty()) throw DeviceLost{"the card is lost"};
    cryored::daemon::Outcome outcome;
    outcome.exit = 0;
    outcome.out = plan.facts.map + " done\n";
    outcome.facts = plan.facts;
    return outcome;
  }

  void release(const std::string& map) {
    const std::lock_guard lock(mutex_);
    free_.insert(map);
    change_.notify_all();
  }
  void release_all() {
    const std::lock_guard lock(mutex_);
    all_free_ = true;
    change_.notify_all();
  }
  /// Waits until so many runs have begun; "map@device" of each, in order.
  std::vector<std::string> wait_started(std::size_t count) {
    std::unique_lock lock(mutex_);
    change_.wait_for(lock, std::chrono::seconds(20), [&] { return started_.size() >= count; });
    return started_;
  }
  std::vector<std::string> started() { return wait_started(0); }
  std::vector<std::uint64_t> limits() {
    const std::lock_guard lock(mutex_);
    return limits_;
  }

 private:
  static std::string option(const Request& request, const std::string& name) {
    for (const auto& word : request.words)
      if (word.rfind(name + "=", 0) == 0) return word.substr(name.size() + 1);
    return "";
  }
  static std::uint64_t number(const Request& request, const std::string& name, std::uint64_t otherwise) {
    const auto text = option(request, name);
    return text.empty() ? otherwise : std::stoull(text);
  }

  std::vector<Device> devices_;
  std::mutex mutex_;
  std::condition_variable change_;
  std::vector<std::string> started_;
  std::vector<std::uint64_t> limits_;
  std::set<std::string> free_;
  std::map<std::string, int> full_;
  bool all_free_ = false;
};

/// Keeps what it was told; wait() returns when the request has ended.
class Ears : public Observer {
 public:
  void queued(int ahead) override { note("queued " + std::to_string(ahead)); }
  void started(const Device& device) override { note("started " + device.name); }
  void done(const cryored::daemon::Outcome& outcome) override {
    {
      const std::lock_guard lock(mutex_);
      outcome_ = outcome;
    }
    note("done " + std::to_string(outcome.exit));
  }
  void cancelled() override { note("cancelled"); }

  /// Everything heard, up to the end of the request (or 20 s).
  std::vector<std::string> wait() {
    std::unique_lock lock(mutex_);
    change_.wait_for(lock, std::chrono::seconds(20), [&] { return ended(); });
    return heard_;
  }
  /// Until it has heard `what` (or 20 s); whether it has.
  bool wait_for(const std::string& what) {
    std::unique_lock lock(mutex_);
    return change_.wait_for(lock, std::chrono::seconds(20), [&] {
      for (const auto& one : heard_)
        if (one == what) return true;
      return false;
    });
  }
  cryored::daemon::Outcome outcome() {
    const std::lock_guard lock(mutex_);
    return outcome_;
  }

 private:
  bool ended() const {
    return !heard_.empty() && (heard_.back() == "cancelled" || heard_.back().rfind("done", 0) == 0);
  }
  void note(const std::string& what) {
    const std::lock_guard lock(mutex_);
    heard_.push_back(what);
    change_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable change_;
  std::vector<std::string> heard_;
  cryored::daemon::Outcome outcome_;
};

}  // namespace cryored_test
