#pragma once
// Which daemons this user has on this machine, from the files of the runtime folder (docs/daemon.md).

#include <chrono>
#include <string>
#include <vector>

#include "daemon/address.hpp"
#include "daemon/status.hpp"

namespace cryored::daemon {

enum class Condition {
  serving,     ///< answered
  leaving,     ///< answered, takes no more work
  silent,      ///< its lock is held or it listens, but it did not answer: starting, stopped, or stuck
  stale,       ///< its lock is free, nobody listens: it ended without removing its files (kill -9, a crash, a reboot)
  other_host,  ///< its file says that it runs elsewhere (the runtime folder is shared)
};

/// "serving", "leaving", "silent", "stale", "other-host".
const char* condition_name(Condition condition);

struct FoundDaemon {
  Address address;
  Condition condition = Condition::stale;
  Json file;          ///< KEY.json; null when it cannot be read
  Json status;        ///< GET /v1/status; null unless serving or leaving
  std::string error;  ///< why silent
};

/// KEY.json; null where it cannot be read.
Json daemon_file(const Address& address);
/// The pid in it, 0 where it has none; and as "pid 123".
int pid_of(const Json& file);
std::string pid_text(const Json& file);

/// Removes what daemons of other keys have left in `folder` (KEY.json, socket, lock and logs): those whose lock is free
/// or gone, on whose socket nobody listens, that do not say to be of another host, and of whose files none was written
/// to for `age` seconds. Returns their keys.
std::vector<std::string> remove_leftovers(const std::string& folder, const std::string& own_key, double age = 86400);

/// All that have a KEY.json in `folder`, or live without one, by key; each one that lives is asked and given `patience`
/// to answer. A folder that is not there holds none. Never throws for what single files hold.
std::vector<FoundDaemon> find_daemons(const std::string& folder,
                                      std::chrono::milliseconds patience = std::chrono::seconds(2));

}  // namespace cryored::daemon
