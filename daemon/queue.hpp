#pragma once
// The requests that wait and run: one worker thread per device, fair between RELION's jobs, bounded memory.
//
// Order. The requests of one job (Facts::job) form a line, first come first served. Whenever a device is free, the job
// whose turn is longest ago comes next; a turn is one map, or the two half-maps of one iteration and class, which run
// at the same time where two devices are free and one after the other else. A request that fits into no free memory now
// is waited for: nobody overtakes it on its device, so that it cannot starve.
//
// Memory. A request that needs more than the limit is given the limit and computes in smaller blocks; one whose
// smallest blocks need more is refused with both numbers.

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "daemon/job.hpp"
#include "daemon/status.hpp"

namespace cryored::daemon {

/// Told what becomes of a request; called from threads of the queue, never under its lock, one call at a time for one
/// request, in order. After done(), lost() nothing more comes. Must not throw, and should return at once.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void queued(int /*ahead*/) {}
  virtual void started(const Device& /*device*/) {}
  virtual void done(const Outcome& outcome) = 0;
  /// The request was cancelled, by cancel() or by a daemon that leaves: no outcome.
  virtual void cancelled() = 0;
};

struct QueueOptions {
  std::uint64_t memory_limit = 0;  ///< bytes of main memory for all that runs at once; 0: no limit
  std::size_t longest = 4096;      ///< requests that may wait; more are refused with an error
  std::size_t kept_jobs = 64;      ///< jobs remembered for status
};

class Queue {
 public:
  using Log = std::function<void(const std::string& event, const Json& fields)>;

  /// Starts the threads. `engine` must outlive the queue.
  Queue(Engine& engine, const QueueOptions& options, Log log = {});
  /// Cancels what is there and waits for the threads.
  ~Queue();
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  /// Number of the request, for cancel(). Never blocks on files. After stop() the observer hears cancelled() at once.
  using Ticket = std::uint64_t;
  Ticket submit(Request request, std::shared_ptr<Observer> observer);
  /// Its observer hears cancelled(), now or when the computation has noticed; or done(), when that came first.
  void cancel(Ticket ticket);

  /// No new requests; `drain` lets those that are here end, else they are cancelled. Returns at once.
  void stop(bool drain);
  /// Nothing waits or runs.
  bool idle() const;
  /// Since when nothing waits or runs; meaningless while idle() is false.
  std::chrono::steady_clock::time_point idle_since() const;

  /// Devices, memory, requests, jobs and counters; what belongs to the server is added there.
  Snapshot snapshot() const;

 private:
  struct Entry;
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cryored::daemon
