#include "daemon/status_text.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "core/base/json_text.hpp"

namespace cryored::daemon {
namespace {

/// What lies at `path`, whatever the other side's version sent.
class View {
 public:
  explicit View(const Json& json) : json_(json) {}

  std::string text(const char* path) const {
    const Json* found = at(path);
    if (!found || found->is_null()) return "-";
    if (found->is_string())
      return found->get_ref<const std::string&>().empty() ? "-" : printable(found->get<std::string>());
    return printable(json_text(*found));
  }
  bool has(const char* path) const { return text(path) != "-"; }
  double number(const char* path) const {
    const Json* found = at(path);
    return found && found->is_number() ? found->get<double>() : std::nan("");
  }
  const Json& list(const char* path) const {
    static const Json none = Json::array();
    const Json* found = at(path);
    return found && found->is_array() ? *found : none;
  }
  bool flag(const char* path) const {
    const Json* found = at(path);
    return found && found->is_boolean() && found->get<bool>();
  }

 private:
  const Json* at(const char* path) const {
    const Json::json_pointer pointer(path);
    return json_.is_object() && json_.contains(pointer) ? &json_.at(pointer) : nullptr;
  }
  const Json& json_;
};

std::string print(const char* format, double value) {
  if (!std::isfinite(value)) return "-";
  char out[48];
  std::snprintf(out, sizeof out, format, value);
  return out;
}

std::string duration(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return "-";
  if (seconds < 100) return print("%.2f s", seconds);
  if (seconds < 100 * 60) return print("%.1f min", seconds / 60);
  if (seconds < 100 * 3600) return print("%.1f h", seconds / 3600);
  return print("%.1f days", seconds / 86400);
}

std::string bytes(double count) {
  if (!std::isfinite(count)) return "-";
  return count < 1e9 ? print("%.0f MB", count / 1e6) : print("%.1f GB", count / 1e9);
}

std::string count(const View& view, const char* path) { return print("%.0f", view.number(path)); }

/// Columns as wide as their widest cell; the last one is not filled up.
std::vector<std::string> table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], columns(row[i]));
  }
  std::vector<std::string> lines;
  for (const auto& row : rows) {
    std::string line = " ";
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += " " + row[i];
      if (i + 1 < row.size()) line += std::string(widths[i] - columns(row[i]) + 1, ' ');
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

void append(std::vector<std::string>& lines, const std::vector<std::string>& more) {
  lines.insert(lines.end(), more.begin(), more.end());
}

std::string head(const View& status) {
  std::string line = ", pid " + status.text("/daemon/pid") + ", version " + status.text("/daemon/version");
  line += ", up " + duration(status.number("/daemon/uptime_s"));
  const double limit = status.number("/daemon/idle_timeout_s"), idle = status.number("/daemon/idle_s");
  if (idle > 0) line += ", idle " + duration(idle);
  if (limit > 0) line += ", leaves after " + duration(limit) + " without work";
  return line;
}

void add_self(const View& status, std::vector<std::string>& lines) {
  if (status.has("/daemon/log")) lines.push_back("  log      " + status.text("/daemon/log"));
  for (const Json& folder : status.list("/daemon/watched"))
    lines.push_back("  watches  " + printable(folder.is_string() ? folder.get<std::string>() : folder.dump()));
  if (status.has("/daemon/metrics_port"))
    lines.push_back("  metrics  http://127.0.0.1:" + status.text("/daemon/metrics_port") + "/metrics");
  if (status.has("/daemon/metrics_problem"))
    lines.push_back("  warning  no metrics port: " + status.text("/daemon/metrics_problem"));
  const double limit = status.number("/memory/limit");
  lines.push_back("  memory   " + bytes(status.number("/daemon/resident_memory")) + " resident, " +
                  bytes(status.number("/memory/reserved")) + (limit > 0 ? " of " + bytes(limit) : "") +
                  " set aside for requests; " + count(status, "/daemon/threads") + " threads, " +
                  count(status, "/daemon/open_files") + " open files, " + count(status, "/daemon/connections") +
                  " connections");
  lines.push_back("  requests " + count(status, "/counters/done") + " done, " + count(status, "/counters/failed") +
                  " failed, " + count(status, "/counters/cancelled") + " cancelled");
}

void add_devices(const View& status, std::vector<std::string>& lines) {
  std::vector<std::vector<std::string>> rows{{"DEVICE", "REQUESTS", "BUSY", "MEMORY", "NOW", "WHAT"}};
  for (const Json& device : status.list("/devices")) {
    const View view(device);
    std::string networks;
    for (const Json& network : view.list("/loaded")) networks += ", " + View(network).text("/name") + " loaded";
    rows.push_back({view.text("/name"), count(view, "/requests"), duration(view.number("/busy_s")),
                    bytes(view.number("/memory")), view.has("/map") ? view.text("/map") : view.text("/running"),
                    view.text("/text") + networks});
  }
  append(lines, table(rows));
}

void add_queue(const View& status, std::vector<std::string>& lines) {
  const Json& requests = status.list("/requests");
  if (requests.empty()) {
    lines.emplace_back("  nothing waits or runs");
    return;
  }
  std::vector<std::vector<std::string>> rows{{"STATE", "MAP", "DEVICE", "AHEAD", "WAITED", "RUNNING", "CALLER", "JOB"}};
  for (const Json& request : requests) {
    const View view(request);
    rows.push_back({view.text("/state"), view.has("/map") ? view.text("/map") : view.text("/id"), view.text("/device"),
                    count(view, "/ahead"), duration(view.number("/waited_s")), duration(view.number("/running_s")),
                    view.text("/caller"), view.text("/job")});
  }
  append(lines, table(rows));
}

void add_jobs(const View& status, const TextOptions& options, std::vector<std::string>& lines) {
  std::size_t shown = 0;
  for (const Json& job : status.list("/jobs")) {
    if (shown++ == options.jobs) break;
    const View view(job);
    lines.push_back("  job " + view.text("/job") + ": " + count(view, "/done") + " maps done, " +
                    count(view, "/failed") + " failed, " + count(view, "/cancelled") + " cancelled, " +
                    duration(view.number("/seconds")) + " of computing");
    std::vector<std::vector<std::string>> rows{
        {"ITERATION", "MAP", "LAMBDA", "RESOLUTION", "SECONDS", "WAITED", "DEVICE", "ERROR"}};
    const Json& recent = view.list("/recent");
    for (std::size_t i = recent.size() - std::min(recent.size(), options.recent_maps); i < recent.size(); ++i) {
      const View map(recent[i]);
      const std::string error = map.text("/error");
      rows.push_back({map.text("/iteration"), map.text("/map"), print("%.3f", map.number("/lambda")),
                      print("%.2f A", map.number("/resolution_A")), print("%.2f", map.number("/seconds")),
                      print("%.2f", map.number("/waited_s")), map.text("/device"), error == "-" ? "" : error});
    }
    if (rows.size() > 1) append(lines, table(rows));
  }
}

}  // namespace

std::size_t columns(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0u) != 0x80u; }));
}

std::string cut_to(const std::string& text, std::size_t width) {
  if (columns(text) <= width) return text;
  if (width == 0) return "";
  std::size_t at = 0, seen = 0;
  for (; at < text.size(); ++at)
    if ((static_cast<unsigned char>(text[at]) & 0xc0u) != 0x80u && seen++ == width - 1) break;
  return text.substr(0, at) + "~";
}

std::string printable(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    const auto next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0u;
    if (c < 0x20 || c == 0x7f) {
      out += '?';
    } else if (c == 0xc2 && next >= 0x80 && next < 0xa0) {  // the second block of control characters, in UTF-8
      out += '?';
      ++i;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::vector<std::string> status_lines(const FoundDaemon& found, const TextOptions& options) {
  const std::string name = printable(found.address.key) + ": " + condition_name(found.condition);
  const View file(found.file);
  const std::string of = file.has("/pid") ? " (pid " + file.text("/pid") + ")" : "";
  switch (found.condition) {
    case Condition::serving:
    case Condition::leaving: {
      const View status(found.status);
      std::vector<std::string> lines{name + head(status)};
      add_self(status, lines);
      add_devices(status, lines);
      add_queue(status, lines);
      add_jobs(status, options, lines);
      return lines;
    }
    case Condition::silent:
      return {name + of + ", it lives but does not answer: " + printable(found.error)};
    case Condition::stale:
      return {name + of + ", it ended without removing its files"};
    case Condition::other_host:
      return {name + of + ", it runs on " + file.text("/host")};
  }
  return {};
}

std::vector<std::string> status_lines(const std::vector<FoundDaemon>& all, const std::string& folder,
                                      const TextOptions& options) {
  if (all.empty()) return {"no daemon of yours runs on this machine (" + printable(folder) + ")"};
  std::vector<std::string> lines;
  for (const FoundDaemon& found : all) {
    if (!lines.empty()) lines.emplace_back();
    append(lines, status_lines(found, options));
  }
  return lines;
}

}  // namespace cryored::daemon
