#pragma once
// Finds request files below some folders: by inotify where the file system tells of every change, by looking again and
// again where other hosts write to it unnoticed (NFS, Lustre, FUSE and the like).

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "daemon/status.hpp"

namespace cryored::daemon {

struct FolderWatchOptions {
  std::vector<std::string> roots;  ///< absolute real paths of folders
  bool always_poll = false;        ///< --watch-poll was given
  double poll = 1;                 ///< seconds between two looks where inotify does not serve
  double second_look = 30;         ///< seconds between two looks where it does: it may be wrong about a file system
};

/// "inotify" or the name of the kind of file system that needs polling, as statfs tells; for the log too.
std::string watch_method(const std::string& folder);

/// One thread's; but for wake(). Folders whose name begins with a dot and symbolic links are not entered.
class FolderWatch {
 public:
  using Note = std::function<void(const std::string& event, const Json& fields)>;
  /// Looks through the roots. Throws SystemError where one cannot be read.
  FolderWatch(FolderWatchOptions options, Note note);
  ~FolderWatch();
  FolderWatch(const FolderWatch&) = delete;
  FolderWatch& operator=(const FolderWatch&) = delete;

  /// Paths of the request files that are there, as far as is known.
  const std::set<std::string>& requests() const { return requests_; }
  /// Waits until something has changed or wake() was called, at most so many seconds; then looks.
  void wait(double seconds);
  /// From any thread: ends wait().
  void wake() const;

 private:
  struct Folder {
    int watch = -1;  ///< inotify's number; -1: polled
    unsigned long long device = 0;
    bool network = false;  ///< of this device: needs polling
    std::string stamp;     ///< identity and times when it was listed; none after a failure, "gone" of a root
    std::string trouble;   ///< why it could not be seen at the last look, noted once
    int again = 0;         ///< so many more listings, whatever the stamp: times may be coarse
    double next_look = 0;
  };
  void enter(const std::string& path, const Folder* parent);
  void list(const std::string& path);
  void not_seen(const std::string& path, int error);  ///< leaves it, or keeps what is known of it for the next look
  void leave(const std::string& path);
  void look_again(double now, bool everything);
  void read_events();

  FolderWatchOptions options_;
  Note note_;
  int inotify_ = -1, wake_ = -1;
  bool out_of_watches_ = false, overflow_ = false;
  std::map<std::string, Folder> folders_;
  std::map<int, std::string> by_watch_;
  std::set<std::string> requests_;
};

}  // namespace cryored::daemon
