// cryored-reconstruct: what RELION_EXTERNAL_RECONSTRUCT_EXECUTABLE names.
//
// RELION runs "<words of the variable> <STAR>" through system(), from one or several MPI ranks at a time. This program
// starts in about a millisecond and has the map made: by the daemon, which it starts where there is none; when the
// daemon is lost, by another one, once; else by "cryored reconstruct" of the same folder as a helper process.

#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <optional>

#include "core/base/error.hpp"
#include "plugin/conversation.hpp"
#include "plugin/helper.hpp"
#include "plugin/link.hpp"
#include "plugin/settings.hpp"
#include "plugin/through_files.hpp"
#include "plugin/wait.hpp"

namespace {

using namespace cryored;
using namespace cryored::plugin;

bool write_all(int fd, const std::string& text) {
  for (std::size_t at = 0; at < text.size();) {
    const ssize_t done = write(fd, text.data() + at, text.size() - at);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return false;
    at += static_cast<std::size_t>(done);
  }
  return true;
}

/// What `cryored reconstruct` would have printed and returned.
int pass_on(const std::string& out, const std::string& err, int exit) {
  write_all(2, err);
  if (write_all(1, out)) return exit;
  say("error: standard output: cannot be written. Remedy: see whether its disk is full");
  return 1;
}

/// A runtime folder that cannot be used, or that somebody else made in /tmp, is no reason to end RELION's job.
daemon::Address find_daemon(const Settings& settings, const std::string& folder) {
  try {
    const daemon::Address address = daemon::find_address(settings.daemon_name, folder);
    daemon::socket_address(address.socket());  // its length
    return address;
  } catch (const SystemError& error) {
    throw Unreachable(error.what());
  }
}

/// The exit code, or nothing where the helper has to do it; the reason has been said by then.
std::optional<int> through_daemon(const std::string& folder, const Settings& settings, const Waiter& waiter) {
  Patience leaving(settings.connect_timeout);
  try {
    const daemon::Address address = find_daemon(settings, folder);
    for (int attempt = 1;;) {
      const auto body = request_body(settings.words, attempt);
      if (!body) {
        say("the request cannot be put into JSON (no UTF-8, or more than 1 MB); computing in a helper process");
        return std::nullopt;
      }
      Link link(address, folder, settings, waiter);
      const double start = now();
      const Answer answer = converse(link, *body, settings, waiter);
      const std::string who = "the daemon " + settings.daemon_name + " (pid " + std::to_string(link.pid()) + ")";
      const std::string after = " after " + seconds_text(now() - start) + ": " + answer.reason;
      if (answer.kind == Answer::Kind::done) return pass_on(answer.out, answer.err, answer.exit);
      if (answer.kind == Answer::Kind::refused) {
        say(who + " refused the request, " + answer.reason + "; computing in a helper process");
        return std::nullopt;
      }
      if (answer.kind == Answer::Kind::leaving) {
        if (leaving.over()) {
          say(who + " is leaving and still there after " + seconds_text(settings.connect_timeout) +
              " (--connect-timeout); computing in a helper process");
          return std::nullopt;
        }
        link.hang_up();
        waiter.sleep(0.1);
        continue;
      }
      const bool again = attempt == 1;
      say(who + " was lost" + after +
          (again ? "; repeating the request once, with a new daemon if need be" : "; computing in a helper process"));
      link.make_sure_it_is_over(answer.kind == Answer::Kind::silent, settings, waiter);
      if (!again) return std::nullopt;
      attempt = 2;
    }
  } catch (const Unreachable& reason) {
    say(std::string("no daemon: ") + reason.what() + "; computing in a helper process");
  }
  return std::nullopt;
}

std::optional<int> through_files(const Settings& settings, const Waiter& waiter) {
  const FileOutcome outcome = compute_through_files(settings, waiter);
  if (outcome.done) return pass_on(outcome.out, outcome.err, outcome.exit);
  say("through files: " + outcome.reason + "; the request is withdrawn, computing in a helper process");
  return std::nullopt;
}

int reconstruct(const std::vector<std::string>& words) {
  const std::string folder = own_folder();
  clean_environment();
  const Settings settings = read_settings(words);
  const Waiter waiter;
  std::optional<int> code;
  try {
    if (!settings.only_helper && settings.via_files)
      code = through_files(settings, waiter);
    else if (!settings.only_helper && !settings.no_daemon)
      code = through_daemon(folder, settings, waiter);
  } catch (const Interrupted& by) {
    // The connection is closed, or the request file removed, by now: that cancels the request.
    say("error: ended by signal " + std::to_string(by.signal) + " (" + strsignal(by.signal) +
        "), the request is cancelled");
    end_by(by.signal);
  }
  if (code) return *code;
  std::vector<std::string> arguments{"reconstruct"};
  if (words.size() == 1 && words[0] == "--version")
    arguments = {"version"};
  else
    arguments.insert(arguments.end(), settings.words.begin(), settings.words.end());
  return run_helper(folder, arguments, waiter);
}

int fail(const std::string& message, int code) {
  write_all(2, "cryored: error: " + message + "\n");
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  // When RELION dies (mpirun kills its ranks outright), this program ends too.
  if (const char* variable = std::getenv("RELION_EXTERNAL_RECONSTRUCT_EXECUTABLE"); variable && *variable)
    prctl(PR_SET_PDEATHSIG, SIGTERM);
  try {
    return reconstruct({argv + 1, argv + argc});
  } catch (const Error& error) {
    return fail(error.what(), error.exit_code());
  } catch (const std::bad_alloc&) {
    return fail("out of memory. Remedy: free memory on this machine", 1);
  } catch (const std::exception& error) {
    return fail(std::string("internal fault: ") + error.what() + ". Remedy: please report this message", 1);
  }
}
