#include "daemon/queue.hpp"

#include <algorithm>

#include "core/base/error.hpp"
#include "daemon/queue_state.hpp"

namespace cryored::daemon {

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
