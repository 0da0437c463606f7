#pragma once
// `cryored daemon --watch`: requests that appear as files (docs/daemon.md, "Through files") go into the queue, and
// what becomes of them is written beside them.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "daemon/queue.hpp"

namespace cryored::daemon {

/// What is known of the files that a request needs. Implemented in cli/: daemon/ knows neither STAR nor MRC.
struct FilesLook {
  enum class State {
    complete,
    incomplete,  ///< `text` says what is missing; it may still come
    refused      ///< `text` says why this is never computed
  };
  State state = State::incomplete;
  std::string text;    ///< an error message as Error::what() has it
  std::string stamp;   ///< of complete files: equal in two looks when nothing was written in between
  std::string result;  ///< of complete files: absolute path of the map to be
};
/// `star` and `root` (the watched folder) are absolute; `star_size` in bytes is what the caller saw. Must not throw.
using FilesInspector = std::function<FilesLook(const Request& request, const std::string& star, std::uint64_t star_size,
                                               const std::string& root)>;

struct WatchOptions {
  std::vector<std::string> folders;   ///< absolute real paths
  double poll = 0;                    ///< --watch-poll in seconds; 0: inotify where it serves, else every second
  double silence = 60;                ///< seconds without a beat until a caller or another daemon counts as gone
  double patience = 120;              ///< seconds for the files of a request to become complete
  double settle = 0.05;               ///< least seconds between the two looks at a request's files
  double others_first = 5;            ///< seconds for a daemon of the protocol of a request that this one cannot read
  std::function<void()> each_second;  ///< called on the watcher's thread as it looks, at most so often; may be empty
  unsigned uid = 0;                   ///< requests of other users are left to their daemons
};

class Watcher {
 public:
  /// Starts its thread. `queue` must outlive it. Throws SystemError for a folder that cannot be read.
  Watcher(Queue& queue, WatchOptions options, FilesInspector inspector, LogSink log);
  ~Watcher();
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  /// From any thread: no request is taken up any more.
  void stop_taking();
  /// From any thread: a request was taken up and has no answer yet, whether it is in the queue or its files are not
  /// complete.
  bool holds() const;
  /// Writes what has become of the requests, gives up those that have not ended, so that another daemon can take them
  /// over at once, and ends the thread. Call it when the queue is idle, or cancels.
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cryored::daemon
