#include <cstdio>
#include <new>

#include "core/base/error.hpp"
#include "daemon/queue_state.hpp"
#include "daemon/refused.hpp"

namespace cryored::daemon {
namespace {

std::string size_text(std::uint64_t bytes) {
  char text[48];
  std::snprintf(text, sizeof text, "%.2f GiB", static_cast<double>(bytes) / (1u << 30));
  return text;
}

}  // namespace

void Queue::State::examine_all() {
  Lock lock(mutex);
  for (;;) {
    arrival.wait(lock, [&] { return leaving || !arriving.empty(); });
    if (leaving) return;
    examine_next(lock);
    deliver(lock);
  }
}

void Queue::State::examine_next(Lock& lock) {
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

void Queue::State::work_on(std::size_t worker) {
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

void Queue::State::serve(const EntryPtr& entry, std::size_t worker, Lock& lock) {
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

bool Queue::State::compute(const EntryPtr& entry, const Turn& turn, Lock& lock, std::string& full) {
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

void Queue::State::lose_device(const std::string& device, const std::string& message) {
  stopping = true;
  note("device.lost", {{"device", device}, {"error", message}});
  if (options.device_lost) events.push_back([this, message] { options.device_lost(message); });
  std::vector<EntryPtr> waiting;
  for (const auto& [ticket, entry] : entries)
    if (entry->phase != Entry::Phase::running) waiting.push_back(entry);
  for (const EntryPtr& entry : waiting) cancel_entry(entry);
}

}  // namespace cryored::daemon
