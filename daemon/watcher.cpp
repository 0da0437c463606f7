#include "daemon/watcher.hpp"

#include <algorithm>
#include <atomic>
#include <ctime>
#include <exception>
#include <map>
#include <thread>

#include "daemon/folder_watch.hpp"
#include "daemon/watched_request.hpp"

namespace cryored::daemon {
namespace {

double monotonic() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

FolderWatchOptions folder_options(const WatchOptions& options) {
  FolderWatchOptions folder;
  folder.roots = options.folders;
  folder.always_poll = options.poll > 0;
  if (options.poll > 0) folder.poll = options.poll;
  return folder;
}

}  // namespace

struct Watcher::State {
  State(Queue& queue, WatchOptions o, FilesInspector i, LogSink log)
      : options(std::move(o)),
        inspect(std::move(i)),
        folders(std::make_shared<FolderWatch>(folder_options(options),
                                              [log](const std::string& event, const Json& fields) {
                                                if (log) log(event, fields);
                                              })),
        context{queue, options, inspect, log, own_holder(), host_name(), {}, true} {
    // The queue may speak to an observer after this is gone.
    context.wake = [weak = std::weak_ptr<FolderWatch>(folders)] {
      if (const auto there = weak.lock()) there->wake();
    };
  }

  void run() {
    double next = 0, next_call = 0;
    while (!ending) {
      folders->wait(std::max(0.0, next - monotonic()));
      context.taking = taking;
      if (const double now = monotonic(); options.each_second && now >= next_call) {
        next_call = now + 1;
        options.each_second();
      }
      next = look_at_all();
    }
    for (auto& [path, request] : requests) guarded(*request, [](WatchedRequest& r) { r.finish(); });
    requests.clear();
  }

  /// Returns when the next look at some request is due.
  double look_at_all() {
    for (const std::string& path : folders->requests())
      if (requests.count(path) == 0)
        requests.emplace(path, std::make_unique<WatchedRequest>(context, path, root_of(path)));
    double next = monotonic() + 3600;
    bool ours = false;
    for (auto at = requests.begin(); at != requests.end();) {
      WatchedRequest& request = *at->second;
      const double now = monotonic();
      const bool vanished = folders->requests().count(at->first) == 0;
      if (now >= request.next_look() || request.has_news() || vanished)
        guarded(request, [now](WatchedRequest& r) { r.look(now); });
      if (!request.over()) next = std::min(next, std::max(request.next_look(), now + 0.01));
      ours = ours || request.ours();
      // Known to be gone before the listing says so, it is looked at again when it is heard of again.
      at = request.over() ? requests.erase(at) : std::next(at);
    }
    holding = ours;
    return next;
  }

  template <class Call>
  void guarded(WatchedRequest& request, Call call) {
    try {
      call(request);
    } catch (const std::exception& error) {
      if (context.log) context.log("watch.fault", {{"error", error.what()}});
    }
  }

  std::string root_of(const std::string& path) const {
    std::string root;
    for (const std::string& folder : options.folders)
      if (folder.size() > root.size() && path.compare(0, folder.size(), folder) == 0 &&
          (folder == "/" || path[folder.size()] == '/'))
        root = folder;
    return root;
  }

  const WatchOptions options;
  const FilesInspector inspect;
  std::shared_ptr<FolderWatch> folders;
  WatchContext context;
  std::map<std::string, std::unique_ptr<WatchedRequest>> requests;
  std::atomic<bool> taking{true}, ending{false}, holding{false};
  std::thread thread;
};

Watcher::Watcher(Queue& queue, WatchOptions options, FilesInspector inspector, LogSink log)
    : state_(std::make_unique<State>(queue, std::move(options), std::move(inspector), std::move(log))) {
  state_->thread = std::thread([state = state_.get()] { state->run(); });
}

Watcher::~Watcher() { finish(); }

void Watcher::stop_taking() { state_->taking = false; }

bool Watcher::holds() const { return state_->holding; }

void Watcher::finish() {
  if (!state_->thread.joinable()) return;
  state_->taking = false;
  state_->ending = true;
  state_->folders->wake();
  state_->thread.join();
}

}  // namespace cryored::daemon
