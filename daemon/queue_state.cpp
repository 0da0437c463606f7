#include "daemon/queue_state.hpp"

#include <algorithm>

namespace cryored::daemon {

Outcome failure(const std::string& message, int code, Facts facts) {
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

Queue::State::State(Engine& e, const QueueOptions& o, LogSink l)
    : engine(e), options(o), log(std::move(l)), history(o.kept_jobs) {
  for (const Device& device : engine.devices()) {
    devices.emplace_back();
    devices.back().device = device;
  }
}

void Queue::State::deliver(Lock& lock) {
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

void Queue::State::note(const std::string& event, Json fields) {
  if (log) events.push_back([this, event, fields = std::move(fields)] { log(event, fields); });
}

void Queue::State::tell_places() {
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

void Queue::State::end(const EntryPtr& entry) {
  if (entry->phase == Entry::Phase::waiting) lines.remove(entry);
  if (blocked == entry) blocked.reset();
  reserved -= entry->reserved;
  entry->reserved = 0;
  entry->phase = Entry::Phase::ended;
  entries.erase(entry->ticket);
  last_end = Clock::now();
  work.notify_all();
}

void Queue::State::end_cancelled(const EntryPtr& entry) {
  end(entry);
  ++counters.cancelled;
  history.cancelled(entry->plan.facts.job);
  note("request.cancelled", facts_entry(*entry));
  events.push_back([observer = entry->observer] { observer->cancelled(); });
  tell_places();
}

void Queue::State::end_done(const EntryPtr& entry, Outcome outcome) {
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

std::uint64_t Queue::State::need(const Entry& entry) const {
  return options.memory_limit == 0 ? entry.plan.memory : std::min(entry.plan.memory, options.memory_limit);
}

bool Queue::State::fits(const Entry& entry) const {
  return options.memory_limit == 0 || reserved + need(entry) <= options.memory_limit;
}

EntryPtr Queue::State::pick(const Device& device) {
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

void Queue::State::cancel_entry(const EntryPtr& entry) {
  entry->cancel.cancel();
  change.notify_all();
  if (entry->phase != Entry::Phase::running) end_cancelled(entry);
}

void Queue::State::cancel_all() {
  std::vector<EntryPtr> all;
  for (const auto& [ticket, entry] : entries) all.push_back(entry);
  for (const EntryPtr& entry : all) cancel_entry(entry);
}

}  // namespace cryored::daemon
