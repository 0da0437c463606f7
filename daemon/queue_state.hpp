#pragma once
// Inside of daemon/queue: all that its threads share. queue_state.cpp keeps the books, queue_work.cpp is what the
// threads do, queue.cpp what others call.

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "daemon/job_history.hpp"
#include "daemon/queue_lines.hpp"

namespace cryored::daemon {

/// An outcome that is an error message.
Outcome failure(const std::string& message, int code, Facts facts = {});
/// What the log says of any request.
Json facts_entry(const Entry& entry);

struct Queue::State {
  Engine& engine;
  QueueOptions options;
  LogSink log;

  mutable std::mutex mutex;
  std::condition_variable work;     ///< for the workers
  std::condition_variable arrival;  ///< for the thread that examines
  std::condition_variable change;   ///< for those who wait for a cancellation

  std::map<Ticket, EntryPtr> entries;  ///< all that have not ended
  std::deque<EntryPtr> arriving;
  Lines lines;
  EntryPtr blocked;  ///< whose turn it is, but whose memory is not free yet
  std::uint64_t reserved = 0;
  Ticket last_ticket = 0;
  bool stopping = false, leaving = false;
  Clock::time_point last_end = Clock::now();
  std::vector<Snapshot::DeviceState> devices;
  JobHistory history;
  Snapshot::Counters counters;

  std::deque<std::function<void()>> events;  ///< calls of observers and the log, not yet made
  bool delivering = false;
  std::vector<std::thread> threads;

  State(Engine& e, const QueueOptions& o, LogSink l);

  using Lock = std::unique_lock<std::mutex>;
  // Called with the lock held, but for examine_all() and work_on(), a thread's whole life each. Those with a `lock` let
  // go of it in between.

  // queue_state.cpp
  /// Makes the calls that are due; only one thread at a time does, so that their order holds.
  void deliver(Lock& lock);
  /// For the log.
  void note(const std::string& event, Json fields);
  /// Tells those who wait how many come before them, where that has changed.
  void tell_places();
  /// Out of the books; the other two tell the observer, too.
  void end(const EntryPtr& entry);
  void end_cancelled(const EntryPtr& entry);
  void end_done(const EntryPtr& entry, Outcome outcome);
  std::uint64_t need(const Entry& entry) const;
  bool fits(const Entry& entry) const;
  /// The next request for a device, or null.
  EntryPtr pick(const Device& device);
  void cancel_entry(const EntryPtr& entry);
  void cancel_all();

  // queue_work.cpp
  void examine_all();
  void examine_next(Lock& lock);
  void work_on(std::size_t worker);
  void serve(const EntryPtr& entry, std::size_t worker, Lock& lock);
  /// One try. Returns false when the card was full.
  bool compute(const EntryPtr& entry, const Turn& turn, Lock& lock, std::string& full);
  /// What waits would fail as this one did: its callers find the next daemon.
  void lose_device(const std::string& device, const std::string& message);
};

}  // namespace cryored::daemon
