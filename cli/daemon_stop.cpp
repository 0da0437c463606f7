#include "cli/daemon_stop.hpp"

#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <iostream>
#include <vector>

#include "core/base/error.hpp"
#include "daemon/address.hpp"
#include "daemon/registry.hpp"

namespace cryored {
namespace {

/// Empty, or why it cannot be told to leave.
std::string stop(const daemon::Address& address, bool drain) {
  const std::string body = drain ? "{\"drain\": true}" : "{\"drain\": false}";
  const std::string request =
      "POST /v1/stop HTTP/1.1\r\nHost: cryored\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  const sockaddr_un name = daemon::socket_address(address.socket());
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  char answer[64] = {};
  const timeval patience{10, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  errno = 0;
  const bool asked = fd >= 0 && connect(fd, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0 &&
                     send(fd, request.data(), request.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(request.size()) &&
                     recv(fd, answer, 12, MSG_WAITALL) == 12 && std::strncmp(answer, "HTTP/1.1 200", 12) == 0;
  const std::string why = answer[0] ? answer : errno != 0 ? std::strerror(errno) : "an end without an answer";
  if (fd >= 0) close(fd);
  if (asked)
    std::cout << "daemon " << address.key << (drain ? " ends what it computes and leaves" : " leaves") << std::endl;
  else if (!daemon::daemon_lives(address))
    std::cout << "daemon " << address.key << " has left already" << std::endl;
  else
    return address.socket() + ", " + daemon::pid_text(daemon::daemon_file(address)) + ": " + why;
  return "";
}

std::string text_of(const daemon::FoundDaemon& found) {
  return found.address.key + ", " + daemon::pid_text(found.file);
}

}  // namespace

int stop_daemons(const std::string& name, const std::string& program_folder, bool drain, bool all) {
  const daemon::AddressInputs inputs = daemon::address_inputs(name, program_folder);
  const daemon::Address own{daemon::runtime_folder(), daemon::address_key(inputs)};
  std::vector<daemon::Address> ours;
  if (daemon::daemon_lives(own)) ours.push_back(own);
  std::string others, other_names;
  for (const daemon::FoundDaemon& found : daemon::find_daemons(own.folder)) {
    const std::string& key = found.address.key;
    if (key == own.key || found.condition == daemon::Condition::stale ||
        found.condition == daemon::Condition::other_host)
      continue;
    if (key.size() != own.key.size() || key.compare(0, name.size() + 1, name + "-") != 0)
      other_names += (other_names.empty() ? "" : "; ") + text_of(found);
    else if (all || daemon::key_of_process(inputs, program_folder, daemon::pid_of(found.file)) == key)
      ours.push_back(found.address);
    else
      others += (others.empty() ? "" : "; ") + text_of(found);
  }
  std::string failures;
  for (const daemon::Address& address : ours)
    if (const std::string failure = stop(address, drain); !failure.empty())
      failures += (failures.empty() ? "" : "; ") + failure;
  if (!failures.empty())
    throw SystemError(Problem{"cryored daemon --stop", "daemon " + name, failures, "an answer within 10 s",
                              "end that process (kill -9 PID), or let it go on (kill -CONT PID)"});
  if (others.empty()) {
    if (!ours.empty()) return 0;
    std::cout << "no daemon " << own.key << " lives";
    if (!other_names.empty())
      std::cout << "; of other names: " << other_names << "; cryored daemon --stop --daemon-name NAME ends one of them";
    std::cout << std::endl;
    return 0;
  }
  const std::string remedy = "cryored daemon --stop --all ends every one of this name";
  if (ours.empty())
    throw SystemError(Problem{"cryored daemon --stop", "daemon " + name,
                              "only those of another installation, Slurm job or set of GPUs (" + others + ")",
                              own.key + ", that of this program here", remedy});
  std::cout << "of another installation, Slurm job or set of GPUs, and left alone: " << others << "; " << remedy
            << std::endl;
  return 0;
}

}  // namespace cryored
