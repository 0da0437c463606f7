#pragma once
// Inside of daemon/watcher: between the queue's threads and the watcher's.

#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include "daemon/queue.hpp"

namespace cryored::daemon {

/// Hears from the queue's threads; read by the watcher's.
class WatchMailbox : public Observer {
 public:
  explicit WatchMailbox(std::function<void()> wake) : wake_(std::move(wake)) {}
  void queued(int ahead) override {
    const std::lock_guard lock(mutex_);
    note_ = "waits for its turn, " + std::to_string(ahead) + " before it";
  }
  void started(const Device& device) override {
    const std::lock_guard lock(mutex_);
    note_ = "computes on " + device.text;
  }
  void done(const Outcome& outcome) override {
    {
      const std::lock_guard lock(mutex_);
      outcome_ = outcome;
    }
    wake_();
  }
  void cancelled() override {
    {
      const std::lock_guard lock(mutex_);
      cancelled_ = true;
    }
    wake_();
  }
  std::string note() const {
    const std::lock_guard lock(mutex_);
    return note_;
  }
  std::optional<Outcome> outcome() const {
    const std::lock_guard lock(mutex_);
    return outcome_;
  }
  bool was_cancelled() const {
    const std::lock_guard lock(mutex_);
    return cancelled_;
  }
  bool ended() const {
    const std::lock_guard lock(mutex_);
    return cancelled_ || outcome_;
  }

 private:
  mutable std::mutex mutex_;
  std::function<void()> wake_;
  std::string note_ = "reads the request";
  std::optional<Outcome> outcome_;
  bool cancelled_ = false;
};

}  // namespace cryored::daemon
