#include "daemon/status.hpp"

#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace cryored::daemon {
namespace {

Json number(const std::optional<double>& value) { return value ? Json(*value) : Json(); }
Json text(const std::string& value) { return value.empty() ? Json() : Json(value); }

void add_facts(const Facts& facts, Json& out) {
  out["job"] = text(facts.job);
  out["map"] = text(facts.map);
  out["iteration"] = facts.iteration < 0 ? Json() : Json(facts.iteration);
  out["half"] = facts.half;
  out[facts.is_body ? "body" : "class"] = facts.number;
}

Json entry(const Snapshot::Self& s) {
  return {{"name", s.name},
          {"host", s.host},
          {"pid", s.pid},
          {"version", s.version},
          {"commit", s.commit},
          {"protocol", s.protocol},
          {"socket", s.socket},
          {"log", text(s.log)},
          {"started", s.started},
          {"uptime_s", s.uptime},
          {"idle_timeout_s", s.idle_timeout},
          {"idle_s", s.idle},
          {"draining", s.draining},
          {"watched", s.watched},
          {"metrics_port", s.metrics_port == 0 ? Json() : Json(s.metrics_port)},
          {"metrics_problem", text(s.metrics_problem)},
          {"resident_memory", s.resident_memory},
          {"open_files", s.open_files},
          {"threads", s.threads},
          {"connections", s.connections}};
}

Json entry(const Snapshot::DeviceState& d) {
  Json loaded = Json::array();
  for (const auto& n : d.loaded) loaded.push_back({{"name", n.name}, {"sha256", n.sha256}, {"passes", n.passes}});
  return {{"name", d.device.name},      {"text", d.device.text},
          {"memory", d.device.memory},  {"only_when_asked", d.device.only_when_asked},
          {"running", text(d.running)}, {"map", text(d.map)},
          {"busy_s", d.busy},           {"requests", d.requests},
          {"loaded", std::move(loaded)}};
}

Json entry(const Snapshot::RequestState& r) {
  Json out{{"id", r.id}, {"state", r.state}, {"caller", r.caller}, {"watched", r.watched}, {"attempt", r.attempt}};
  add_facts(r.facts, out);
  out["device"] = text(r.device);
  out["ahead"] = r.ahead;
  out["waited_s"] = r.waited;
  out["running_s"] = r.running;
  out["memory"] = r.memory;
  return out;
}

Json entry(const Snapshot::MapState& m) {
  Json out = Json::object();
  add_facts(m.facts, out);
  out.erase("job");
  out["exit"] = m.exit;
  out["denoiser_ran"] = m.facts.denoiser_ran;
  out["lambda"] = number(m.facts.lambda);
  out["resolution_A"] = number(m.facts.resolution);
  out["device"] = text(m.facts.device);
  out["waited_s"] = m.waited;
  out["seconds"] = m.seconds;
  out["finished"] = m.finished;
  out["error"] = text(m.error);
  return out;
}

Json entry(const Snapshot::JobState& j) {
  Json recent = Json::array();
  for (const auto& map : j.recent) recent.push_back(entry(map));
  return {{"job", j.job},
          {"done", j.done},
          {"failed", j.failed},
          {"cancelled", j.cancelled},
          {"seconds", j.seconds},
          {"last_error", text(j.last_error)},
          {"recent", std::move(recent)}};
}

Json entry(const Snapshot::Counters& c) {
  return {{"submitted", c.submitted},
          {"done", c.done},
          {"failed", c.failed},
          {"cancelled", c.cancelled},
          {"refused", c.refused},
          {"split", c.split},
          {"device_full", c.device_full},
          {"repeated", c.repeated},
          {"watched", c.watched},
          {"waited_s", c.waited},
          {"computed_s", c.computed},
          {"connections", c.connections},
          {"bad_requests", c.bad_requests},
          {"foreign_peers", c.foreign_peers},
          {"timeouts", c.timeouts}};
}

template <typename List>
Json entries(const List& list) {
  Json out = Json::array();
  for (const auto& item : list) out.push_back(entry(item));
  return out;
}

}  // namespace

Json to_json(const Snapshot& s) {
  return {{"schema", "cryored-status"},
          {"schema_version", 1},
          {"daemon", entry(s.self)},
          {"devices", entries(s.devices)},
          {"memory", {{"limit", s.memory.limit}, {"reserved", s.memory.reserved}}},
          {"requests", entries(s.requests)},
          {"jobs", entries(s.jobs)},
          {"counters", entry(s.counters)}};
}

void add_process_figures(Snapshot::Self& self) {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (word == "VmRSS:") {
      status >> self.resident_memory;
      self.resident_memory *= 1024;
    } else if (word == "Threads:") {
      status >> self.threads;
    }
  }
  std::error_code error;
  const std::filesystem::directory_iterator files("/proc/self/fd", error);
  // One of them is the iterator's own.
  if (!error) self.open_files = static_cast<int>(std::distance(begin(files), end(files))) - 1;
}

std::string utc_text(std::int64_t unix_seconds) {
  const auto seconds = static_cast<std::time_t>(unix_seconds);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char out[32];
  std::strftime(out, sizeof out, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return out;
}

}  // namespace cryored::daemon
