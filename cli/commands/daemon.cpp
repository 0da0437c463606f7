// cryored daemon: keeps the networks loaded and computes for every RELION process of one user on this machine.

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <ctime>
#include <filesystem>
#include <iostream>
#include <optional>

#include "cli/command.hpp"
#include "cli/common_options.hpp"
#include "cli/daemon_stop.hpp"
#include "cli/engine.hpp"
#include "cli/installation.hpp"
#include "cli/watched_files.hpp"
#include "core/base/atomic_file.hpp"
#include "core/base/error.hpp"
#include "daemon/background.hpp"
#include "daemon/log.hpp"
#include "daemon/metrics.hpp"
#include "daemon/protocol.hpp"
#include "daemon/registry.hpp"
#include "daemon/server.hpp"
#include "daemon/watcher.hpp"

namespace cryored {
namespace {

std::string program_folder() { return prefix_folder() + "/bin"; }

/// Real paths of the folders of --watch; empty without it. Throws UsageError.
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

int serve(const Settings& settings, daemon::StartReport& report) {
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
  EngineOptions options;
  options.device = settings.text("device");
  options.gpus = settings.indices("gpus");
  options.threads = settings.has("threads") ? static_cast<int>(settings.integer("threads")) : 0;
  options.gpu_memory_limit = settings.size("gpu-memory-limit");
  options.despite_broken_gpus = settings.flag("despite-broken-gpus");
  options.daemon_name = settings.text("daemon-name");
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
  daemon::ServerOptions server_options;
  server_options.uid = getuid();
  server_options.idle_timeout = idle_timeout(settings);
  server_options.self = self_of(settings);
  server_options.self.watched = folders;
  set_metrics_port(settings, server_options);
  std::optional<daemon::Server> server;
  std::unique_ptr<daemon::Watcher> watcher;  // ends before the server, to which it speaks
  server_options.leaving = [&] {
    if (watcher) watcher->stop_taking();
    unlink(address.json().c_str());
    lock.reset();
  };
  server_options.holds_request = [&] { return watcher && watcher->holds(); };
  serving = &server.emplace(queue, address, server_options, log);
  // The next call meets the new program's daemon, whatever lives here: two would share one refinement.
  const auto leave_when_replaced = [&, left = false]() mutable {
    const std::string now = left ? "" : program_text(settings, program_place);
    if (now.empty() || now == program) return;
    left = true;
    server->stop(true, "its program was replaced: " + program_place + "/cryored");
  };
  watcher = start_watching(settings, folders, queue, leave_when_replaced, log);
  write_json(address, server_options.self, server_options.idle_timeout);
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

/// `path` as this process's working directory has it: that of a daemon in the background is another.
std::string absolute(const std::string& path) {
  char folder[4096];
  return path[0] == '/' || !getcwd(folder, sizeof folder) ? path : folder + ("/" + path);
}

/// With every option in force here, whatever its source, and a log, since nobody sees its stderr.
int start_in_background(const Settings& settings) {
  std::vector<std::string> words{"daemon"};
  for (const auto& [name, value] : settings.values)
    if (settings.given(name) && !value.text.empty() && name != "background" && name != "log" && name != "watch" &&
        name != "despite-broken-gpus")
      words.push_back("--" + name + "=" + value.text);
  if (settings.flag("despite-broken-gpus")) words.push_back("--despite-broken-gpus");
  // There it is a word of the command line, whatever it is here.
  if (settings.has("metrics-port") && settings.source("metrics-port").level != SourceLevel::command_line &&
      !settings.has("metrics-port-from"))
    words.push_back("--metrics-port-from=" + settings.source("metrics-port").text);
  const daemon::Address address = daemon::find_address(settings.text("daemon-name"), program_folder());
  words.push_back("--log=" +
                  (settings.has("log") ? absolute(settings.text("log")) : address.folder + "/" + address.key + ".log"));
  if (const char* config = std::getenv("CRYORED_CONFIG"); config && *config)
    setenv("CRYORED_CONFIG", absolute(config).c_str(), 1);
  const std::vector<std::string> folders = watched_folders(settings);
  if (!folders.empty()) words.push_back("--watch");
  words.push_back("--");
  words.insert(words.end(), folders.begin(), folders.end());
  return daemon::start_in_background(own_path(), words);
}

int run(const Settings& settings) {
  daemon::check_daemon_name(settings.text("daemon-name"));
  if (settings.flag("stop"))
    return stop_daemons(settings.text("daemon-name"), program_folder(), settings.flag("drain"), settings.flag("all"));
  // Without it they would start a daemon, the contrary of what was meant.
  for (const char* name : {"drain", "all"})
    if (settings.flag(name))
      throw UsageError(Problem{"cryored daemon", std::string("--") + name, "no --stop", "--stop beside it",
                               std::string("write cryored daemon --stop --") + name + ", or leave it out"});
  if (settings.flag("background")) return start_in_background(settings);
  signal(SIGPIPE, SIG_IGN);
  daemon::StartReport report;
  try {
    return serve(settings, report);
  } catch (const Error& error) {
    report.bad(std::string("cryored: error: ") + error.what(), error.exit_code());
    throw;
  }
}

OptionSpec of_command_line(OptionSpec option) {
  option.persistent = false;
  return option;
}

OptionSpec watch_seconds(const std::string& name, const std::string& default_value, double least,
                         const std::string& help) {
  OptionSpec option{name, OptionKind::number, "SECONDS", default_value, help};
  option.minimum = least;
  option.maximum = 86400;
  return option;
}

/// Of requests that do not say it.
OptionSpec daemon_threads_option() {
  OptionSpec option = threads_option();
  option.help =
      "threads on the CPU for requests that do not say it; 0, or without it: the processors this process may use "
      "(affinity mask, control group), divided among the GPUs or, on the CPU, all of them";
  option.minimum = 0;
  return option;
}

}  // namespace

Command daemon_command() {
  CommandSpec spec;
  spec.program = "cryored daemon";
  spec.summary = "keep the networks loaded and compute for RELION's processes";
  spec.details =
      "Computes what is handed to its socket (docs/daemon.md), as cryored reconstruct would, with networks that stay "
      "loaded, one request at a time on each device. A second daemon of the same name ends at once with exit status 0, "
      "or, where it was to watch folders or to have a port, with an error. SIGTERM, SIGINT and SIGHUP cancel what is "
      "computed and end it.";
  OptionSpec idle{"idle-timeout", OptionKind::number, "SECONDS", "900",
                  "leave after so long without a request; 0: never"};
  idle.minimum = 0;
  idle.maximum = 1e9;
  OptionSpec port{
      "metrics-port", OptionKind::integer, "PORT", "",
      "answer GET /metrics (Prometheus) on this port of 127.0.0.1, too, to every user of the machine. A port "
      "that is taken is an error on the command line; from a variable or config file it is a warning in log "
      "and cryored status, and is taken later"};
  port.minimum = 1;
  port.maximum = 65535;
  spec.arguments = "[--watch DIR...]";
  spec.maximum_arguments = 1000;
  spec.options = {
      {"daemon-name", OptionKind::text, "NAME", "default",
       "which daemon, as cryored-reconstruct asks for it: several may live side by side; letters, digits, _ and -"},
      idle,
      of_command_line({"watch", OptionKind::flag, "", "no",
                       "watch the folders named after the options, and all below them, for requests of "
                       "cryored-reconstruct --via-files and cryored-wait.sh; without --idle-timeout it then stays"}),
      watch_seconds("watch-poll", "", 0.1,
                    "look into watched folders so often and do without inotify; without it every second where other "
                    "hosts may write unnoticed (NFS, Lustre, FUSE and the like), inotify elsewhere"),
      watch_seconds("watch-patience", "120", 1,
                    "how long the STAR and MRC files of a watched request may be missing or incomplete"),
      watch_seconds("watch-silence", "60", 5,
                    "when the caller of a watched request, or another daemon that has taken it, counts as gone"),
      of_command_line(
          {"background", OptionKind::flag, "", "no", "return when it listens; it lives on in a session of its own"}),
      of_command_line({"stop", OptionKind::flag, "", "no",
                       "end the daemon of this name, and those of this installation before an upgrade"}),
      of_command_line({"drain", OptionKind::flag, "", "no", "with --stop: after what it has to compute"}),
      of_command_line({"all", OptionKind::flag, "", "no",
                       "with --stop: every daemon of this name, of other installations, Slurm jobs and sets of GPUs "
                       "too"}),
      device_option(),
      of_command_line({"despite-broken-gpus", OptionKind::flag, "", "no",
                       "with --device auto: where a GPU is there and its driver fails, start all the same, compute "
                       "what says --device cpu and refuse the rest; the daemons that cryored-reconstruct starts do"}),
      {"gpus", OptionKind::indices, "LIST", "",
       "GPUs to use, as 0,1, numbered as the driver shows them to this process "
       "(CUDA_VISIBLE_DEVICES); without it all"},
      {"memory-limit", OptionKind::size, "SIZE", "",
       "main memory for all that is computed at once, as 12G: a request that does not fit waits, or computes in "
       "smaller "
       "blocks where it never would; without it no limit"},
      {"gpu-memory-limit", OptionKind::size, "SIZE", "",
       "memory for the denoiser on each GPU; without it what is free"},
      daemon_threads_option(),
      port,
      of_command_line({"metrics-port-from", OptionKind::text, "TEXT", "",
                       "where the port was set, for messages, and that it may be taken later; --background sets it"}),
      of_command_line({"log", OptionKind::path, "FILE", "",
                       "events, one JSON object a line, with rotation; without it on stderr, or with --background in "
                       "the runtime folder"})};
  return {"daemon", spec, run};
}

}  // namespace cryored
