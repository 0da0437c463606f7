#include "cli/daemon_serve.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <ctime>
#include <filesystem>
#include <functional>
#include <iostream>
#include <memory>
#include <optional>

#include "cli/engine.hpp"
#include "cli/installation.hpp"
#include "cli/watched_files.hpp"
#include "core/base/atomic_file.hpp"
#include "core/base/error.hpp"
#include "daemon/log.hpp"
#include "daemon/metrics.hpp"
#include "daemon/protocol.hpp"
#include "daemon/registry.hpp"
#include "daemon/server.hpp"
#include "daemon/watcher.hpp"

namespace cryored {

std::string program_folder() { return prefix_folder() + "/bin"; }

std::vector<std::string> watched_folders(const Settings& settings) {
  const bool watch = settings.flag("watch");
  if (!watch && !settings.arguments.empty())
    throw UsageError(Problem{"cryored daemon", "arguments", settings.arguments[0], "folders, after --watch",
                             "write --watch before them, or leave them out"});
  if (watch && settings.arguments.empty())
    throw UsageError(
        Problem{"cryored daemon", "--watch", "no folder", "one folder or several", "name RELION's project"});
  std::vector<std::string> folders;
  for (const std::string& folder : settings.arguments) {
    std::error_code error;
    const auto real = std::filesystem::canonical(folder, error);
    if (error || !std::filesystem::is_directory(real, error))
      throw UsageError(Problem{folder, "folder of --watch", error ? error.message() : "no folder", "a folder",
                               "create it, or correct the name"});
    folders.push_back(real.string());
  }
  return folders;
}

namespace {

/// `each_second` is called beside.
std::unique_ptr<daemon::Watcher> start_watching(const Settings& settings, const std::vector<std::string>& folders,
                                                daemon::Queue& queue, std::function<void()> each_second,
                                                const daemon::LogSink& log) {
  if (folders.empty()) return nullptr;
  daemon::WatchOptions options;
  options.folders = folders;
  options.poll = settings.optional_number("watch-poll").value_or(0);
  options.silence = settings.number("watch-silence");
  options.patience = settings.number("watch-patience");
  options.each_second = std::move(each_second);
  options.uid = getuid();
  return std::make_unique<daemon::Watcher>(queue, options, look_at_watched_files, log);
}

/// A daemon that watches does not leave for want of requests, unless told to.
double idle_timeout(const Settings& settings) {
  return settings.flag("watch") && !settings.given("idle-timeout") ? 0 : settings.number("idle-timeout");
}

daemon::Snapshot::Self self_of(const Settings& settings) {
  const BuildInfo build = build_info();
  char host[256] = {};
  gethostname(host, sizeof host - 1);
  daemon::Snapshot::Self self;
  self.name = settings.text("daemon-name");
  self.host = host;
  self.version = build.version;
  self.commit = build.commit;
  self.log = settings.text("log");
  return self;
}

void write_json(const daemon::Address& address, const daemon::Snapshot::Self& self, double idle_timeout) {
  const daemon::Json json{{"name", self.name},
                          {"pid", getpid()},
                          {"host", self.host},
                          {"version", self.version},
                          {"protocol", daemon::protocol_version},
                          {"started", daemon::utc_text(std::time(nullptr))},
                          {"socket", address.socket()},
                          {"idle_timeout_s", idle_timeout},
                          {"log", self.log.empty() ? daemon::Json() : daemon::Json(self.log)}};
  write_text_atomically(address.json(), daemon::dump(json) + "\n");
}

/// Asked for on the command line the port must be had. A config file or variable speaks to every daemon of the user,
/// and only one of them can have it: the others serve, warn, and take it when it is free.
void set_metrics_port(const Settings& settings, daemon::ServerOptions& options) {
  options.metrics = daemon::metrics_text;
  if (!settings.has("metrics-port")) return;
  const Source& source = settings.source("metrics-port");
  options.metrics_port = static_cast<int>(settings.integer("metrics-port"));
  options.metrics_port_may_wait = source.level != SourceLevel::command_line || settings.has("metrics-port-from");
  options.metrics_port_source = settings.has("metrics-port-from") ? settings.text("metrics-port-from") : source.text;
}

/// Its program, as it is in the key; empty where there is none now.
std::string program_text(const Settings& settings, const std::string& folder) {
  try {
    return daemon::address_inputs(settings.text("daemon-name"), folder).program;
  } catch (const SystemError&) {
    return "";
  }
}

/// Whoever wants only that a daemon of this name serves is content. Who wants more of this one than the other may give
/// must not take it for granted.
std::string serves_already(const Settings& settings, const daemon::Address& address) {
  const bool port = settings.has("metrics-port") && !settings.has("metrics-port-from") &&
                    settings.source("metrics-port").level == SourceLevel::command_line;
  if (!settings.flag("watch") && !port) return "another daemon serves as " + address.key + " already";
  throw SystemError(Problem{"--daemon-name", settings.flag("watch") ? "folders to watch" : "--metrics-port",
                            settings.text("daemon-name") + ", whose daemon (" +
                                daemon::pid_text(daemon::daemon_file(address)) + ") lives already and was not asked",
                            "a name whose daemon does not live",
                            "name another one, or end that daemon first: cryored daemon --stop"});
}

EngineOptions engine_options(const Settings& settings) {
  EngineOptions options;
  options.device = settings.text("device");
  options.gpus = settings.indices("gpus");
  options.threads = settings.has("threads") ? static_cast<int>(settings.integer("threads")) : 0;
  options.gpu_memory_limit = settings.size("gpu-memory-limit");
  options.despite_broken_gpus = settings.flag("despite-broken-gpus");
  options.daemon_name = settings.text("daemon-name");
  return options;
}

daemon::ServerOptions server_options(const Settings& settings, const std::vector<std::string>& folders) {
  daemon::ServerOptions options;
  options.uid = getuid();
  options.idle_timeout = idle_timeout(settings);
  options.self = self_of(settings);
  options.self.watched = folders;
  set_metrics_port(settings, options);
  return options;
}

}  // namespace

int serve_as_daemon(const Settings& settings, daemon::StartReport& report) {
  const std::vector<std::string> folders = watched_folders(settings);
  const std::string program_place = program_folder(), program = program_text(settings, program_place);
  const daemon::Address address = daemon::find_address(settings.text("daemon-name"), program_place);
  auto lock = std::make_unique<daemon::DaemonLock>(address);
  if (!lock->held()) {
    const std::string text = serves_already(settings, address);
    report.good(text);
    std::cout << text << std::endl;
    return 0;
  }
  EngineOptions options = engine_options(settings);
  options.umask = umask(077);  // its own files, those that the log's rotation opens among them, are private
  ReconstructEngine engine(options);

  std::unique_ptr<daemon::EventLog> file;
  if (settings.has("log")) file = std::make_unique<daemon::EventLog>(daemon::LogOptions{settings.text("log")});
  const daemon::LogSink log = [&file](const std::string& event, const daemon::Json& fields) {
    if (file)
      file->write(event, fields);
    else
      std::cerr << event + " " + daemon::dump(fields) + "\n";
  };
  if (const auto keys = daemon::remove_leftovers(address.folder, address.key); !keys.empty())
    log("daemon.cleaned", {{"folder", address.folder}, {"keys", keys}});
  daemon::QueueOptions limits;
  limits.memory_limit = settings.size("memory-limit");
  daemon::Server* serving = nullptr;  // set before a request can come
  std::atomic<bool> device_lost{false};
  limits.device_lost = [&](const std::string& message) {
    device_lost = true;
    serving->stop(true, "a device failed: " + message);
  };
  daemon::Queue queue(engine, limits, log);
  daemon::ServerOptions offer = server_options(settings, folders);
  std::optional<daemon::Server> server;
  std::unique_ptr<daemon::Watcher> watcher;  // ends before the server, to which it speaks
  offer.leaving = [&] {
    if (watcher) watcher->stop_taking();
    unlink(address.json().c_str());
    lock.reset();
  };
  offer.holds_request = [&] { return watcher && watcher->holds(); };
  serving = &server.emplace(queue, address, offer, log);
  // The next call meets the new program's daemon, whatever lives here: two would share one refinement.
  const auto leave_when_replaced = [&, left = false]() mutable {
    const std::string now = left ? "" : program_text(settings, program_place);
    if (now.empty() || now == program) return;
    left = true;
    server->stop(true, "its program was replaced: " + program_place + "/cryored");
  };
  watcher = start_watching(settings, folders, queue, leave_when_replaced, log);
  write_json(address, offer.self, offer.idle_timeout);
  if (!engine.gpu_problem().empty())
    log("device.broken", {{"warning", "serves --device cpu alone: " + engine.gpu_problem()}});
  log("daemon.started", {{"key", address.key}, {"pid", getpid()}, {"device", engine.devices().front().text}});
  const std::string text = "cryored daemon " + address.key + ", pid " + std::to_string(getpid()) + ", serves on " +
                           engine.devices().front().text +
                           (engine.gpu_problem().empty() ? "" : ", --device cpu alone: " + engine.gpu_problem());
  report.good(text);
  std::cout << text << std::endl;
  const bool ended = server->run();
  if (watcher) watcher->finish();
  log("daemon.left", {{"pid", getpid()}});
  // A computation that does not notice its end must not keep the daemon; nothing of it has a final name. Nor must the
  // driver of a lost device, where networks and context would be taken down.
  if (!ended || device_lost) _exit(1);
  return 0;
}

}  // namespace cryored
