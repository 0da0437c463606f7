#pragma once
// The requests that wait and run: one worker thread per device, fair between RELION's jobs, bounded memory.
//
// Order. The requests of one job (Facts::job) form a line, first come first served. Whenever a device is free, the job
// whose turn is longest ago comes next; a turn is one map, or the two half-maps of one iteration and class, which run
// at the same time where two devices are free and one after the other else.
//
// Memory. A request waits until what it needs is free; meanwhile nobody overtakes it, so that it cannot starve. One
// that needs more than the whole limit gets the limit and computes in smaller blocks; one whose smallest blocks need
// more is refused with both numbers. Nothing is split that would fit by waiting: the size of the blocks shows in the
// map.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "daemon/job.hpp"
#include "daemon/status.hpp"

namespace cryored::daemon {

/// Told what becomes of a request; called from threads of the queue, never under its lock, in order and one call at a
/// time. After done() or cancelled() nothing more comes. Must not throw or block.
class Observer {
 public:
  virtual ~Observer() = default;
  /// So many requests, running ones included, come before this one.
  virtual void queued(int /*ahead*/) {}
  virtual void started(const Device& /*device*/) {}
  virtual void done(const Outcome& outcome) = 0;
  /// By cancel(), or because the daemon leaves: there is no outcome.
  virtual void cancelled() = 0;
};

struct QueueOptions {
  std::uint64_t memory_limit = 0;  ///< bytes of main memory for all that runs at once; 0: no limit
  std::size_t longest = 4096;      ///< requests that may wait; more are refused with an error
  std::size_t kept_jobs = 64;      ///< jobs remembered for status
  double full_device_wait = 10;    ///< seconds before the second try on a card that is full
  /// Called on a thread of the queue when a device has failed for good, before any observer hears of it: the daemon
  /// should leave. The queue takes no more requests by then, has cancelled those that wait, and ends those that run.
  std::function<void(const std::string& message)> device_lost;
};

/// For the daemon's log: "request.started" and the like, with what belongs to it. Called one at a time.
using LogSink = std::function<void(const std::string& event, const Json& fields)>;

class Queue {
 public:
  /// Starts the threads. `engine` must outlive the queue.
  Queue(Engine& engine, const QueueOptions& options, LogSink log = {});
  /// Cancels what is there and waits for the threads.
  ~Queue();
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  /// Number of a request, for cancel().
  using Ticket = std::uint64_t;
  /// Never waits for files: the STAR is read on a thread of the queue. After stop() the observer hears cancelled().
  Ticket submit(Request request, std::shared_ptr<Observer> observer);
  /// The observer hears cancelled(), at once or when the computation has noticed; or done(), where that came first.
  void cancel(Ticket ticket);

  /// No new requests; `drain` lets those that are here end, else they are cancelled. Returns at once.
  void stop(bool drain);
  /// Nothing waits or runs.
  bool idle() const;
  /// Seconds since the last request ended (or the start); 0 while one waits or runs.
  double idle_seconds() const;

  /// Everything but Snapshot::self and the server's counters.
  Snapshot snapshot() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cryored::daemon
