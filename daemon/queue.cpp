#include "daemon/queue.hpp"

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <list>
#include <mutex>
#include <new>
#include <thread>

#include "core/base/error.hpp"
#include "daemon/job_history.hpp"
#include "daemon/queue_state.hpp"
#include "daemon/refused.hpp"

namespace cryored::daemon {
namespace {

std::string size_text(std::uint64_t bytes) {
  char text[48];
  std::snprintf(text, sizeof text, "%.2f GiB", static_cast<double>(bytes) / (1u << 30));
  return text;
}

Outcome failure(const std::string& message, int code, Facts facts = {}) {
  Outcome outcome;
  outcome.exit = code;
  outcome.err = "cryored: error: " + message + "\n";
  outcome.facts = std::move(facts);
  return outcome;
}

Json facts_entry(const Entry& entry) {
  const Facts& facts = entry.plan.facts;
  Json fields{{"id", entry.request.id}};
  if (!facts.job.empty()) fields.update({{"job", facts.job}, {"map", facts.map}});
  if (facts.iteration >= 0) fields["iteration"] = facts.iteration;
  if (facts.half != 0) fields["half"] = facts.half;
  return fields;
}

}  // namespace

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

  State(Engine& e, const QueueOptions& o, LogSink l) : engine(e), options(o), log(std::move(l)), history(o.kept_jobs) {
    for (const Device& device : engine.devices()) {
      devices.emplace_back();
      devices.back().device = device;
    }
  }

  using Lock = std::unique_lock<std::mutex>;

  /// Makes the calls that are due; only one thread at a time does, so that their order holds.
  void deliver(Lock& lock) {
    if (delivering) return;
    delivering = true;
    while (!events.empty()) {
      const auto call = std::move(events.front());
      events.pop_front();
      lock.unlock();
      call();
      lock.lock();
    }
    delivering = false;
  }

  void note(const std::string& event, Json fields) {
    if (log) events.push_back([this, event, fields = std::move(fields)] { log(event, fields); });
  }

  /// Tells those who wait how many come before them, where that has changed.
  void tell_places() {
    int ahead = 0;
    for (const auto& [ticket, entry] : entries) ahead += entry->phase == Entry::Phase::running;
    for (const EntryPtr& entry : lines.order()) {
      if (entry->ahead != ahead) {
        entry->ahead = ahead;
        events.push_back([observer = entry->observer, ahead] { observer->queued(ahead); });
      }
      ++ahead;
    }
  }

  void end(const EntryPtr& entry) {
    if (entry->phase == Entry::Phase::waiting) lines.remove(entry);
    if (blocked == entry) blocked.reset();
    reserved -= entry->reserved;
    entry->reserved = 0;
    entry->phase = Entry::Phase::ended;
    entries.erase(entry->ticket);
    last_end = Clock::now();
    work.notify_all();
  }

  void end_cancelled(const EntryPtr& entry) {
    end(entry);
    ++counters.cancelled;
    history.cancelled(entry->plan.facts.job);
    note("request.cancelled", facts_entry(*entry));
    events.push_back([observer = entry->observer] { observer->cancelled(); });
    tell_places();
  }

  void end_done(const EntryPtr& entry, Outcome outcome) {
    const bool ran = entry->phase == Entry::Phase::running;
    const auto now = Clock::now();
    const double waited = seconds_between(entry->arrived, ran ? entry->started : now);
    const double seconds = ran ? seconds_between(entry->started, now) : 0;
    end(entry);
    ++(outcome.exit == 0 ? counters.done : counters.failed);
    counters.waited += waited;
    counters.computed += seconds;
    if (outcome.facts.job.empty()) outcome.facts = entry->plan.facts;
    const Snapshot::MapState& map = history.done(outcome, waited, seconds);
    Json fields = facts_entry(*entry);
    fields["exit"] = outcome.exit;
    fields["waited_s"] = waited;
    fields["seconds"] = seconds;
    if (entry->device) fields["device"] = entry->device->name;
    if (outcome.facts.lambda) fields["lambda"] = *outcome.facts.lambda;
    if (outcome.facts.resolution) fields["resolution_A"] = *outcome.facts.resolution;
    if (!map.error.empty()) fields["error"] = map.error;
    const char* event = outcome.exit == 0 ? "request.done" : "request.failed";
    // The caller first: the log's disk may be slow.
    events.push_back([observer = entry->observer, outcome = std::move(outcome)] { observer->done(outcome); });
    note(event, std::move(fields));
    tell_places();
  }

  void examine_next(Lock& lock) {
    const EntryPtr entry = arriving.front();
    arriving.pop_front();
    if (entry->phase == Entry::Phase::ended) return;
    lock.unlock();
    Plan plan;
    std::string message;
    int code = 0;
    try {
      plan = engine.examine(entry->request);
    } catch (const Refused& error) {
      message = error.what(), code = error.exit_code();
      plan.facts = error.facts;
    } catch (const Error& error) {
      message = error.what(), code = error.exit_code();
    } catch (const std::bad_alloc&) {
      message = "out of memory. Remedy: free memory on this machine", code = 1;
    } catch (const std::exception& error) {
      message = std::string("internal fault: ") + error.what() + ". Remedy: please report this message", code = 1;
    }
    lock.lock();
    if (entry->phase == Entry::Phase::ended) return;
    entry->plan = std::move(plan);
    if (code != 0) return end_done(entry, failure(message, code));
    if (options.memory_limit != 0 && entry->plan.least_memory > options.memory_limit) {
      ++counters.refused;
      const Error error(Problem{"--memory-limit of the daemon", "", size_text(options.memory_limit),
                                "at least " + size_text(entry->plan.least_memory) + ", which " + entry->plan.facts.map +
                                    " needs in the smallest blocks (" + size_text(entry->plan.memory) +
                                    " in the usual ones)",
                                "start the daemon with a higher --memory-limit, on a machine that has the memory"});
      return end_done(entry, failure(error.what(), error.exit_code()));
    }
    entry->phase = Entry::Phase::waiting;
    lines.add(entry);
    tell_places();
    work.notify_all();
  }

  void examine_all() {
    Lock lock(mutex);
    for (;;) {
      arrival.wait(lock, [&] { return leaving || !arriving.empty(); });
      if (leaving) return;
      examine_next(lock);
      deliver(lock);
    }
  }

  std::uint64_t need(const Entry& entry) const {
    return options.memory_limit == 0 ? entry.plan.memory : std::min(entry.plan.memory, options.memory_limit);
  }
  bool fits(const Entry& entry) const {
    return options.memory_limit == 0 || reserved + need(entry) <= options.memory_limit;
  }

  /// The next request for a device, or null.
  EntryPtr pick(const Device& device) {
    if (lines.size() == 0) return nullptr;
    EntryPtr next = blocked;
    if (next) {
      if (!may_run_on(next->plan, device)) return nullptr;
    } else {
      const auto order = lines.order();
      const auto found =
          std::find_if(order.begin(), order.end(), [&](const EntryPtr& e) { return may_run_on(e->plan, device); });
      if (found == order.end()) return nullptr;
      next = *found;
    }
    if (!fits(*next)) {
      blocked = next;
      return nullptr;
    }
    blocked.reset();
    return next;
  }

  /// What waits would fail as this one did: its callers find the next daemon.
  void lose_device(const std::string& device, const std::string& message) {
    stopping = true;
    note("device.lost", {{"device", device}, {"error", message}});
    if (options.device_lost) events.push_back([this, message] { options.device_lost(message); });
    std::vector<EntryPtr> waiting;
    for (const auto& [ticket, entry] : entries)
      if (entry->phase != Entry::Phase::running) waiting.push_back(entry);
    for (const EntryPtr& entry : waiting) cancel_entry(entry);
  }

  /// One try. Returns false when the card was full.
  bool compute(const EntryPtr& entry, const Turn& turn, Lock& lock, std::string& full) {
    Outcome outcome;
    bool cancelled = false, filled = false, lost = false;
    lock.unlock();
    try {
      outcome = engine.run(entry->request, entry->plan, turn, entry->cancel);
    } catch (const Cancelled&) {
      cancelled = true;
    } catch (const DeviceFull& e) {
      filled = true, full = e.message;
    } catch (const DeviceLost& e) {
      outcome = failure(e.message, 1);
      lost = true;
    } catch (const std::bad_alloc&) {
      outcome = failure("out of memory. Remedy: free memory on this machine, or give the daemon a --memory-limit", 1);
    } catch (const std::exception& e) {
      outcome = failure(std::string("internal fault: ") + e.what() + ". Remedy: please report this message", 1);
    }
    lock.lock();
    if (filled) return false;
    if (lost) lose_device(turn.device->name, outcome.err);
    if (cancelled)
      end_cancelled(entry);
    else
      end_done(entry, std::move(outcome));
    return true;
  }

  void serve(const EntryPtr& entry, std::size_t worker, Lock& lock) {
    Snapshot::DeviceState& state = devices[worker];
    const Device& device = engine.devices()[worker];
    lines.take(entry);
    entry->phase = Entry::Phase::running;
    entry->started = Clock::now();
    entry->device = &device;
    entry->reserved = need(*entry);
    reserved += entry->reserved;
    if (entry->reserved < entry->plan.memory) ++counters.split;
    state.running = entry->request.id;
    state.map = entry->plan.facts.map;
    Json fields = facts_entry(*entry);
    fields["device"] = device.name;
    fields["memory"] = entry->reserved;
    note("request.started", std::move(fields));
    events.push_back([observer = entry->observer, &device] { observer->started(device); });
    tell_places();
    work.notify_all();  // its partner may go to another device
    deliver(lock);

    const Turn turn{&device, static_cast<int>(worker), options.memory_limit == 0 ? 0 : entry->reserved};
    std::string full;
    for (int attempt = 1; !compute(entry, turn, lock, full); ++attempt) {
      ++counters.device_full;
      note("device.full", {{"id", entry->request.id}, {"device", device.name}, {"message", full}});
      if (attempt == 2) {
        end_done(entry, failure(full, 1));
        break;
      }
      // Other programs' memory comes back as they go on: RELION itself may share the card.
      deliver(lock);
      const auto until = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                            std::chrono::duration<double>(options.full_device_wait));
      change.wait_until(lock, until, [&] { return entry->cancel.cancelled(); });
      if (entry->cancel.cancelled()) {
        end_cancelled(entry);
        break;
      }
    }
    state.busy += seconds_between(entry->started, Clock::now());
    ++state.requests;
    state.running.clear();
    state.map.clear();
  }

  void work_on(std::size_t worker) {
    const Device& device = engine.devices()[worker];
    Lock lock(mutex);
    for (;;) {
      EntryPtr entry;
      work.wait(lock, [&] { return (entry = pick(device)) || leaving; });
      if (!entry) return;
      serve(entry, worker, lock);
      deliver(lock);
    }
  }

  void cancel_entry(const EntryPtr& entry) {
    entry->cancel.cancel();
    change.notify_all();
    if (entry->phase != Entry::Phase::running) end_cancelled(entry);
  }

  void cancel_all() {
    std::vector<EntryPtr> all;
    for (const auto& [ticket, entry] : entries) all.push_back(entry);
    for (const EntryPtr& entry : all) cancel_entry(entry);
  }
};

Queue::Queue(Engine& engine, const QueueOptions& options, LogSink log)
    : state_(std::make_unique<State>(engine, options, std::move(log))) {
  state_->threads.emplace_back([s = state_.get()] { s->examine_all(); });
  for (std::size_t i = 0; i < engine.devices().size(); ++i)
    state_->threads.emplace_back([s = state_.get(), i] { s->work_on(i); });
}

Queue::~Queue() {
  {
    State::Lock lock(state_->mutex);
    state_->stopping = state_->leaving = true;
    state_->cancel_all();
    state_->deliver(lock);
    state_->work.notify_all();
    state_->arrival.notify_all();
  }
  for (auto& thread : state_->threads) thread.join();
}

Queue::Ticket Queue::submit(Request request, std::shared_ptr<Observer> observer) {
  State& s = *state_;
  State::Lock lock(s.mutex);
  const auto entry = std::make_shared<Entry>();
  entry->ticket = ++s.last_ticket;
  entry->request = std::move(request);
  entry->observer = std::move(observer);
  s.entries.emplace(entry->ticket, entry);
  ++s.counters.submitted;
  if (entry->request.attempt > 1) ++s.counters.repeated;
  if (entry->request.from == Request::From::watch) ++s.counters.watched;
  s.note("request.submitted", {{"id", entry->request.id},
                               {"caller", entry->request.caller},
                               {"attempt", entry->request.attempt},
                               {"watched", entry->request.from == Request::From::watch}});
  if (s.stopping) {
    s.end_cancelled(entry);
  } else if (s.entries.size() > s.options.longest) {
    ++s.counters.refused;
    const Error error(Problem{"queue of the daemon", "", std::to_string(s.options.longest) + " requests wait already",
                              "fewer", "wait for them, or run fewer jobs at once"});
    s.end_done(entry, failure(error.what(), 1));
  } else {
    s.arriving.push_back(entry);
    s.arrival.notify_one();
  }
  const Ticket ticket = entry->ticket;
  s.deliver(lock);
  return ticket;
}

void Queue::cancel(Ticket ticket) {
  State::Lock lock(state_->mutex);
  const auto found = state_->entries.find(ticket);
  if (found == state_->entries.end()) return;
  state_->cancel_entry(EntryPtr(found->second));
  state_->deliver(lock);
}

void Queue::stop(bool drain) {
  State::Lock lock(state_->mutex);
  state_->stopping = true;
  if (!drain) state_->cancel_all();
  state_->deliver(lock);
}

bool Queue::idle() const {
  const std::lock_guard lock(state_->mutex);
  return state_->entries.empty() && state_->events.empty() && !state_->delivering;
}

double Queue::idle_seconds() const {
  const std::lock_guard lock(state_->mutex);
  return state_->entries.empty() ? seconds_between(state_->last_end, Clock::now()) : 0;
}

Snapshot Queue::snapshot() const {
  const auto loaded = state_->engine.loaded();
  const std::lock_guard lock(state_->mutex);
  const State& s = *state_;
  Snapshot result;
  const auto now = Clock::now();
  result.devices = s.devices;
  for (auto& device : result.devices)
    for (const auto& network : loaded)
      if (network.device == device.device.name) device.loaded.push_back(network);
  result.memory = {s.options.memory_limit, s.reserved};
  const auto add = [&](const Entry& entry) {
    Snapshot::RequestState state;
    state.id = entry.request.id;
    state.caller = entry.request.caller;
    state.watched = entry.request.from == Request::From::watch;
    state.attempt = entry.request.attempt;
    state.facts = entry.plan.facts;
    state.memory = entry.plan.memory;
    const bool runs = entry.phase == Entry::Phase::running;
    state.state = runs ? "running" : entry.phase == Entry::Phase::waiting ? "waiting" : "examining";
    if (entry.device) state.device = entry.device->name;
    state.ahead = std::max(0, entry.ahead);
    state.waited = seconds_between(entry.arrived, runs ? entry.started : now);
    if (runs) {
      state.running = seconds_between(entry.started, now);
      state.ahead = 0;
      for (auto& device : result.devices)
        if (device.device.name == state.device) device.busy += state.running;
    }
    result.requests.push_back(std::move(state));
  };
  for (const auto& [ticket, entry] : s.entries)
    if (entry->phase == Entry::Phase::running) add(*entry);
  for (const auto& [ticket, entry] : s.entries)
    if (entry->phase != Entry::Phase::running) add(*entry);
  result.jobs = s.history.jobs();
  result.counters = s.counters;
  return result;
}

}  // namespace cryored::daemon
