#pragma once
// Inside of daemon/queue: who waits and runs, and whose turn is next. No threads and no lock here.

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "daemon/queue.hpp"

namespace cryored::daemon {

using Clock = std::chrono::steady_clock;

inline double seconds_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

/// One request in the queue.
struct Entry {
  std::uint64_t ticket = 0;
  Request request;
  std::shared_ptr<Observer> observer;
  CancelToken cancel;
  Plan plan;
  enum class Phase { examining, waiting, running, ended } phase = Phase::examining;
  Clock::time_point arrived = Clock::now(), started;
  int ahead = -1;              ///< last told
  std::uint64_t reserved = 0;  ///< bytes, while running
  const Device* device = nullptr;
};
using EntryPtr = std::shared_ptr<Entry>;

/// The waiting requests in their lines.
class Lines {
 public:
  void add(EntryPtr entry);
  /// Takes an entry out without giving it a turn.
  void remove(const EntryPtr& entry);
  /// Takes an entry out and counts its job's turn.
  void take(const EntryPtr& entry);
  /// All that wait, in the order in which they would be served on one device.
  std::vector<EntryPtr> order() const;
  std::size_t size() const { return size_; }

 private:
  /// What the two half-maps of one turn have in common.
  using Pair = std::tuple<int, int, bool>;
  struct Line {
    std::deque<EntryPtr> waiting;
    std::uint64_t last_turn = 0;
    bool open = false;  ///< a half-map has had its turn and its partner may follow
    Pair pair;
    int half = 0;
  };
  static Pair pair_of(const Entry& entry) {
    return {entry.plan.facts.iteration, entry.plan.facts.number, entry.plan.facts.is_body};
  }
  static bool completes(const Line& line, const Entry& entry);

  std::map<std::string, Line> lines_;
  std::uint64_t turns_ = 0;
  std::size_t size_ = 0;
};

/// Whether a plan lets a device compute it.
bool may_run_on(const Plan& plan, const Device& device);

}  // namespace cryored::daemon
