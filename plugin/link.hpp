#pragma once
// A connection to the daemon: found, or made by starting one; and the certainty that a lost daemon computes no more.

#include <sys/types.h>

#include <stdexcept>
#include <string>

#include "daemon/address.hpp"
#include "plugin/settings.hpp"
#include "plugin/wait.hpp"

namespace cryored::plugin {

/// No daemon serves this call; what() says why, for the line on stderr.
struct Unreachable : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Link {
 public:
  /// Connects to the daemon at `address`, starting `program_folder`/cryored daemon where none lives. Any number of
  /// plugins may do so at once: the daemon's lock decides which of the started ones stays. Throws Unreachable after
  /// --connect-timeout, Interrupted.
  Link(const daemon::Address& address, const std::string& program_folder, const Settings& settings,
       const Waiter& waiter);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  int fd() const { return fd_; }
  pid_t pid() const { return pid_; }

  /// Ends the conversation. The daemon cancels the request when it sees that.
  void hang_up();

  /// After a connection that was lost: returns when that daemon can no longer publish a map for this request, else
  /// throws Error. A daemon that is silent (`silent`) but lives is ended with SIGKILL if it is a process of this very
  /// installation; one that closed the connection itself has given the request up.
  void make_sure_it_is_over(bool silent, const Settings& settings, const Waiter& waiter);

 private:
  bool try_connect();
  void look_at_peer(const std::string& program_folder);
  bool has_ended(double seconds, const Waiter& waiter) const;

  daemon::Address address_;
  int fd_ = -1;
  int pidfd_ = -1;
  pid_t pid_ = 0;
  bool is_ours_ = false;  ///< the peer runs the file cryored of this installation
};

}  // namespace cryored::plugin
