#include "daemon/metrics.hpp"

#include <charconv>
#include <cmath>
#include <initializer_list>
#include <utility>

#include "core/base/json_text.hpp"

namespace cryored::daemon {
namespace {

using Labels = std::vector<std::pair<const char*, std::string>>;

// Backslash, quote and newline, as the format asks; bytes that are no UTF-8 would make scrapers refuse the whole
// answer.
std::string escaped(const std::string& text) {
  const std::string json = json_text(Json(text));
  const std::string valid = Json::parse(json).get<std::string>();
  std::string out;
  for (const char c : valid) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n')
      out += "\\n";
    else
      out += c;
  }
  return out;
}

std::string number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  return {text, end};
}

/// One family after the other: its head, then its samples.
class Page {
 public:
  void gauge(const char* name, const char* help) { head(name, help, "gauge"); }
  void counter(const char* name, const char* help) { head(name, help, "counter"); }
  void sample(double value, const Labels& labels = {}) {
    text_ += name_;
    for (std::size_t i = 0; i < labels.size(); ++i)
      text_ += (i == 0 ? "{" : ",") + std::string(labels[i].first) + "=\"" + escaped(labels[i].second) + "\"";
    text_ += (labels.empty() ? " " : "} ") + number(value) + "\n";
  }
  void sample(std::uint64_t value, const Labels& labels = {}) { sample(static_cast<double>(value), labels); }
  void sample(int value, const Labels& labels = {}) { sample(static_cast<double>(value), labels); }
  std::string take() { return std::move(text_); }

 private:
  void head(const char* name, const char* help, const char* type) {
    name_ = name;
    text_ += std::string("# HELP ") + name + " " + help + "\n# TYPE " + name + " " + type + "\n";
  }
  const char* name_ = "";
  std::string text_;
};

void process(Page& page, const Snapshot::Self& self) {
  page.gauge("cryored_build_info", "Version of the daemon; the value is always 1.");
  page.sample(1, {{"version", self.version}, {"commit", self.commit}, {"name", self.name}});
  page.gauge("cryored_uptime_seconds", "Time since the daemon started.");
  page.sample(self.uptime);
  page.gauge("cryored_idle_seconds", "Time since the last request ended; 0 while there is one.");
  page.sample(self.idle);
  page.gauge("cryored_draining", "1 while the daemon ends what runs and takes no more.");
  page.sample(self.draining ? 1 : 0);
  page.gauge("cryored_connections", "Open connections.");
  page.sample(self.connections);
  page.gauge("cryored_watched_folders", "Folders of --watch.");
  page.sample(static_cast<std::uint64_t>(self.watched.size()));
  page.gauge("process_resident_memory_bytes", "Resident memory size.");
  page.sample(self.resident_memory);
  page.gauge("process_open_fds", "Open file descriptors.");
  page.sample(self.open_files);
  page.gauge("process_threads", "Threads.");
  page.sample(self.threads);
}

void queue(Page& page, const Snapshot& snapshot) {
  page.gauge("cryored_memory_limit_bytes", "Main memory that all computations together may take; 0: no limit.");
  page.sample(snapshot.memory.limit);
  page.gauge("cryored_memory_reserved_bytes", "Main memory that is set aside for what runs.");
  page.sample(snapshot.memory.reserved);
  page.gauge("cryored_requests", "Requests that are with the daemon now.");
  for (const char* state : {"examining", "waiting", "running"}) {
    int count = 0;
    for (const auto& request : snapshot.requests) count += request.state == state;
    page.sample(count, {{"state", state}});
  }
  const auto& c = snapshot.counters;
  page.counter("cryored_requests_submitted_total", "Requests that came.");
  page.sample(c.submitted);
  page.counter("cryored_requests_finished_total", "Requests by how they ended.");
  page.sample(c.done, {{"outcome", "done"}});
  page.sample(c.failed, {{"outcome", "failed"}});
  page.sample(c.cancelled, {{"outcome", "cancelled"}});
  const std::pair<const char*, std::pair<const char*, std::uint64_t>> counts[] = {
      {"cryored_requests_refused_total",
       {"Failed requests for which there was no place or never enough memory.", c.refused}},
      {"cryored_requests_split_total", {"Requests computed in smaller blocks to keep to the memory limit.", c.split}},
      {"cryored_device_full_total", {"Tries that ended because the device had too little free memory.", c.device_full}},
      {"cryored_requests_repeated_total", {"Requests that came again after a lost daemon.", c.repeated}},
      {"cryored_requests_watched_total", {"Requests that came by a watched folder.", c.watched}},
      {"cryored_connections_total", {"Connections that were taken.", c.connections}},
      {"cryored_bad_requests_total", {"Messages that were refused as no request.", c.bad_requests}},
      {"cryored_foreign_peers_total", {"Connections of other users, cut off.", c.foreign_peers}},
      {"cryored_client_timeouts_total", {"Connections that were too slow, cut off.", c.timeouts}}};
  for (const auto& [name, entry] : counts) {
    page.counter(name, entry.first);
    page.sample(entry.second);
  }
  page.counter("cryored_request_wait_seconds_total", "Time that finished requests had waited, summed.");
  page.sample(c.waited);
  page.counter("cryored_request_compute_seconds_total", "Time that finished requests were computed, summed.");
  page.sample(c.computed);
}

void devices(Page& page, const std::vector<Snapshot::DeviceState>& all) {
  page.gauge("cryored_device_info", "Devices of the daemon; the value is always 1.");
  for (const auto& d : all) page.sample(1, {{"device", d.device.name}, {"description", d.device.text}});
  page.gauge("cryored_device_memory_bytes", "Memory of the device.");
  for (const auto& d : all) page.sample(d.device.memory, {{"device", d.device.name}});
  page.gauge("cryored_device_busy", "1 while the device computes.");
  for (const auto& d : all) page.sample(d.running.empty() ? 0 : 1, {{"device", d.device.name}});
  page.counter("cryored_device_busy_seconds_total", "Time that the device computed.");
  for (const auto& d : all) page.sample(d.busy, {{"device", d.device.name}});
  page.counter("cryored_device_requests_total", "Requests that the device computed.");
  for (const auto& d : all) page.sample(d.requests, {{"device", d.device.name}});
  page.counter("cryored_network_passes_total", "Passes of a loaded network.");
  for (const auto& d : all)
    for (const auto& network : d.loaded)
      page.sample(network.passes, {{"device", d.device.name}, {"network", network.name}, {"sha256", network.sha256}});
}

void jobs(Page& page, const std::vector<Snapshot::JobState>& all) {
  page.counter("cryored_job_maps_total", "Maps of the RELION jobs served last, by how they ended.");
  for (const auto& job : all) {
    page.sample(job.done, {{"job", job.job}, {"outcome", "done"}});
    page.sample(job.failed, {{"job", job.job}, {"outcome", "failed"}});
    page.sample(job.cancelled, {{"job", job.job}, {"outcome", "cancelled"}});
  }
  page.counter("cryored_job_compute_seconds_total", "Time that the job's maps were computed, summed.");
  for (const auto& job : all) page.sample(job.seconds, {{"job", job.job}});

  const auto last = [&](const char* name, const char* help, auto value) {
    page.gauge(name, help);
    for (const auto& job : all)
      if (!job.recent.empty())
        if (const std::optional<double> found = value(job.recent.back())) page.sample(*found, {{"job", job.job}});
  };
  using Map = Snapshot::MapState;
  last("cryored_job_iteration", "Iteration of the job's last map.",
       [](const Map& m) { return m.facts.iteration >= 0 ? std::optional<double>(m.facts.iteration) : std::nullopt; });
  last("cryored_job_lambda", "Weight of the denoiser in the job's last map.",
       [](const Map& m) { return m.facts.lambda; });
  last("cryored_job_resolution_meters", "Nominal resolution of the job's last map.", [](const Map& m) {
    return m.facts.resolution ? std::optional<double>(*m.facts.resolution * 1e-10) : std::nullopt;
  });
  last("cryored_job_last_map_seconds", "Time that the job's last map took to compute.",
       [](const Map& m) { return std::optional<double>(m.seconds); });
}

}  // namespace

std::string metrics_text(const Snapshot& snapshot) {
  Page page;
  process(page, snapshot.self);
  queue(page, snapshot);
  devices(page, snapshot.devices);
  jobs(page, snapshot.jobs);
  return page.take();
}

}  // namespace cryored::daemon
