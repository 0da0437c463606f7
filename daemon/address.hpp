#pragma once
// Where the daemon of a name is found (docs/daemon.md): private folder, key, socket, and the lock that says whether it
// lives. libc and the C++ library only, since the thin plugin links this.

#include <sys/un.h>

#include <cstdint>
#include <optional>
#include <string>

namespace cryored::daemon {

/// What makes two daemons different. Gathered by address_inputs(), given by hand in tests.
struct AddressInputs {
  std::string name = "default";  ///< --daemon-name
  unsigned uid = 0;
  std::string host;
  std::string program;  ///< "<real path of the folder of cryored> <size> <mtime in ns>"
  std::string slurm_job, slurm_step;
  std::string cuda_visible_devices = "unset";
};

struct Address {
  std::string folder;  ///< the runtime folder, without a slash at its end
  std::string key;     ///< "default-0123456789abcdef"
  std::string socket() const { return folder + "/" + key + ".sock"; }
  std::string lock() const { return folder + "/" + key + ".lock"; }
  std::string json() const { return folder + "/" + key + ".json"; }
};

/// Throws UsageError unless the name is of 1 to 32 letters, digits, '_' and '-'.
void check_daemon_name(const std::string& name);

/// For the daemon `name` of the file cryored in `program_folder`. Throws UsageError (name), SystemError (no file
/// cryored there, no host name).
AddressInputs address_inputs(const std::string& name, const std::string& program_folder);

/// NAME-HASH of docs/daemon.md.
std::string address_key(const AddressInputs& inputs);

/// The key that process `pid` would have, were its program the file in the same folder: that of a daemon whose program
/// has been replaced since it started. Empty where the process cannot be looked at.
std::string key_of_process(AddressInputs inputs, const std::string& program_folder, int pid);

/// $CRYORED_RUNTIME_DIR, else $XDG_RUNTIME_DIR/cryored where $XDG_RUNTIME_DIR exists, else /tmp/cryored-UID. Created
/// with mode 0700 where it is missing. Throws SystemError for a folder of another owner or mode, or a link: such a
/// folder is never repaired, somebody else may have made it.
std::string runtime_folder();

/// Folder and key together.
Address find_address(const std::string& name, const std::string& program_folder);

/// For bind() and connect(). Throws SystemError where the path is longer than the system takes (107 bytes).
sockaddr_un socket_address(const std::string& path);

/// The lock that a daemon holds as long as it lives; the kernel frees it however the daemon ends.
class DaemonLock {
 public:
  enum class File { create, existing };
  /// Takes the lock, or waits up to `patience_ms` for one who only looks (daemon_lives). Not held where another
  /// daemon has it, nor where `existing` is asked for and there is none. Throws SystemError when the file cannot be
  /// made or locked.
  explicit DaemonLock(const Address& address, int patience_ms = 300, File file = File::create);
  ~DaemonLock();  ///< frees the lock; the file goes, too
  DaemonLock(const DaemonLock&) = delete;
  DaemonLock& operator=(const DaemonLock&) = delete;

  bool held() const { return fd_ >= 0; }
  /// False when somebody has removed or replaced the file (a cleaner of /tmp): nobody finds this daemon any more.
  bool still_ours() const;

 private:
  std::string path_;
  int fd_ = -1;
};

/// Whether somebody listens on this socket; nothing where it cannot be told. Throws SystemError as socket_address().
std::optional<bool> somebody_listens(const std::string& path);

/// Whether a daemon holds the lock of this address, listening already or not yet, or listens although a cleaner of /tmp
/// has taken its lock. A socket without a living daemon is stale. Never throws: what cannot be looked at does not live.
bool daemon_lives(const Address& address);

}  // namespace cryored::daemon
