// cryored daemon: keeps the networks loaded and computes for every RELION process of one user on this machine.

#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "cli/command.hpp"
#include "cli/common_options.hpp"
#include "cli/daemon_serve.hpp"
#include "cli/daemon_stop.hpp"
#include "cli/installation.hpp"
#include "core/base/error.hpp"
#include "daemon/address.hpp"
#include "daemon/background.hpp"

namespace cryored {
namespace {

/// `path` as this process's working directory has it: that of a daemon in the background is another.
std::string absolute(const std::string& path) {
  char folder[4096];
  return path[0] == '/' || !getcwd(folder, sizeof folder) ? path : folder + ("/" + path);
}

/// With every option in force here, whatever its source, and a log, since nobody sees its stderr.
int start_in_background(const Settings& settings) {
  std::vector<std::string> words{"daemon"};
  const std::vector<OptionSpec> options = daemon_command().spec.options;
  for (const auto& [name, value] : settings.values) {
    if (!settings.given(name) || value.text.empty() || name == "background" || name == "log" || name == "watch")
      continue;
    const OptionSpec* option = find_option(options, name);
    if (option && option->kind == OptionKind::flag)
      words.push_back((settings.flag(name) ? "--" : "--no-") + name);
    else
      words.push_back("--" + name + "=" + value.text);
  }
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

/// The log is appended to, and nobody wants that of their data.
void refuse_data_as_log(const std::string& path) {
  for (const std::string ending : {".star", ".mrc", ".mrcs"})
    if (path.ends_with(ending))
      throw UsageError(Problem{"--log", "", path, "a text file of any other ending than .star, .mrc and .mrcs",
                               "name the log, e.g. cryored.log"});
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
  if (settings.has("log")) refuse_data_as_log(settings.text("log"));
  if (settings.flag("background")) return start_in_background(settings);
  signal(SIGPIPE, SIG_IGN);
  daemon::StartReport report;
  try {
    return serve_as_daemon(settings, report);
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
