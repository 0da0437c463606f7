#include "daemon/folder_watch.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "core/base/error.hpp"
#include "daemon/exchange.hpp"

namespace cryored::daemon {
namespace {

constexpr std::uint32_t events_of_interest = IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CLOSE_WRITE |
                                             IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_DONT_FOLLOW |
                                             IN_EXCL_UNLINK;

double monotonic() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

std::string stamp_of(const struct stat& info) {
  return std::to_string(info.st_dev) + "." + std::to_string(info.st_ino) + "." + std::to_string(info.st_mtim.tv_sec) +
         "." + std::to_string(info.st_mtim.tv_nsec) + "." + std::to_string(info.st_ctim.tv_sec) + "." +
         std::to_string(info.st_ctim.tv_nsec);
}

/// Any other error may pass, as that of a server that does not answer for a while.
bool means_gone(int error) { return error == ENOENT || error == ENOTDIR || error == ELOOP; }

/// Of the folder itself, no link; 0 or the error. On network file systems by opening it, for only that asks the server:
/// lstat() answers from the attributes of up to a minute ago.
int look_at_folder(const std::string& path, bool network, struct stat& info) {
  if (network) {
    const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0) {
      const int error = fstat(fd, &info) == 0 ? 0 : errno;
      close(fd);
      return error;
    }
    if (errno != EACCES && errno != EMFILE && errno != ENFILE) return errno;
  }
  if (lstat(path.c_str(), &info) != 0) return errno;
  return S_ISDIR(info.st_mode) ? 0 : ENOTDIR;
}

bool below(const std::string& path, const std::string& folder) {
  return path.size() > folder.size() && path.compare(0, folder.size(), folder) == 0 &&
         (folder == "/" || path[folder.size()] == '/');
}

std::string joined(const std::string& folder, const std::string& name) {
  return folder == "/" ? "/" + name : folder + "/" + name;
}

}  // namespace

std::string watch_method(const std::string& folder) {
  // Magic numbers of linux/magic.h and of the file systems' own headers.
  static const std::map<unsigned long, const char*> network = {
      {0x6969, "nfs"},        {0x0bd00bd0, "lustre"}, {0x65735546, "fuse"},   {0xff534d42, "cifs"},
      {0xfe534d42, "smb2"},   {0x517b, "smb"},        {0x00c36400, "ceph"},   {0x47504653, "gpfs"},
      {0x19830326, "beegfs"}, {0x5346414f, "afs"},    {0x01021997, "9p"},     {0xaad7aaea, "panfs"},
      {0x7461636f, "ocfs2"},  {0x01161970, "gfs2"},   {0x20030528, "orange"}, {0xbacbacbc, "vmhgfs"},
      {0x786f4256, "vboxsf"}};
  struct statfs info {};
  if (statfs(folder.c_str(), &info) != 0) return "unknown";
  const auto found = network.find(static_cast<unsigned long>(info.f_type) & 0xffffffffUL);
  return found == network.end() ? "inotify" : found->second;
}

FolderWatch::FolderWatch(FolderWatchOptions options, Note note) : options_(std::move(options)), note_(std::move(note)) {
  wake_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_ < 0)
    throw SystemError(Problem{"eventfd", "", std::strerror(errno), "", "raise the number of open files (ulimit -n)"});
  if (!options_.always_poll) inotify_ = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  if (!options_.always_poll && inotify_ < 0) note_("watch.no-inotify", {{"warning", std::strerror(errno)}});
  for (const std::string& root : options_.roots) {
    if (access(root.c_str(), R_OK | X_OK) != 0) {
      const int error = errno;
      close(wake_);
      if (inotify_ >= 0) close(inotify_);
      throw SystemError(Problem{root, "folder of --watch", std::strerror(error), "a folder that this user may read",
                                "create it, or correct the name"});
    }
    enter(root, nullptr);
    const auto folder = folders_.find(root);
    const std::string kind = watch_method(root);
    note_("watch.started", {{"folder", root},
                            {"method", folder != folders_.end() && folder->second.watch >= 0 ? "inotify" : "polling"},
                            {"file_system", kind == "inotify" ? "local" : kind}});
  }
}

FolderWatch::~FolderWatch() {
  if (inotify_ >= 0) close(inotify_);
  close(wake_);
}

void FolderWatch::wake() const {
  const std::uint64_t one = 1;
  (void)!write(wake_, &one, sizeof one);
}

void FolderWatch::enter(const std::string& path, const Folder* parent) {
  if (folders_.count(path) != 0) return;
  struct stat info {};
  const int error = look_at_folder(path, false, info);
  if (means_gone(error)) return;
  Folder folder;
  folder.device = info.st_dev;
  // One that cannot be looked at now is polled.
  folder.network =
      error != 0 ||
      (parent && parent->device == folder.device ? parent->network : inotify_ < 0 || watch_method(path) != "inotify");
  if (!folder.network && inotify_ >= 0) {
    // Before the listing: what appears in between is heard of twice rather than never.
    folder.watch = inotify_add_watch(inotify_, path.c_str(), events_of_interest);
    if (folder.watch < 0 && errno == ENOSPC && !out_of_watches_) {
      out_of_watches_ = true;
      note_("watch.out-of-watches", {{"folder", path},
                                     {"warning",
                                      "no inotify watch is left for this user: this folder and further ones are "
                                      "polled. Remedy: raise fs.inotify.max_user_watches"}});
    }
    if (folder.watch >= 0) by_watch_[folder.watch] = path;
  }
  folders_[path] = folder;
  list(path);
}

void FolderWatch::list(const std::string& path) {
  const double now = monotonic();
  Folder& folder = folders_.at(path);
  struct stat info {};
  DIR* stream = nullptr;
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  // Its times before its names: a change in between shows at the next look.
  if (fd >= 0 && fstat(fd, &info) == 0) stream = fdopendir(fd);
  folder.next_look = now + (folder.watch >= 0 ? options_.second_look : options_.poll);
  if (!stream) {
    const int error = errno;
    if (fd >= 0) close(fd);
    return not_seen(path, error);
  }
  const std::string stamp = stamp_of(info);
  if (stamp != folder.stamp)
    folder.again = 2;
  else if (folder.again > 0)
    --folder.again;
  folder.stamp = stamp;
  const Folder copy = folder;
  std::set<std::string> requests;
  std::vector<std::string> inner;
  while (const dirent* entry = (errno = 0, readdir(stream))) {
    const std::string name = entry->d_name;
    if (name[0] == '.') continue;
    if (is_request_file(name)) {
      requests.insert(joined(path, name));
      continue;
    }
    bool is_folder = entry->d_type == DT_DIR;
    if (entry->d_type == DT_UNKNOWN)
      is_folder = fstatat(fd, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(info.st_mode);
    if (is_folder) inner.push_back(joined(path, name));
  }
  const int error = errno;
  closedir(stream);
  requests_.insert(requests.begin(), requests.end());
  if (error != 0) return not_seen(path, error);
  folder.trouble.clear();
  const auto parent_of = [](const std::string& file) {
    return file.substr(0, std::max<std::size_t>(1, file.rfind('/')));
  };
  for (auto at = requests_.lower_bound(joined(path, "")); at != requests_.end() && below(*at, path);)
    at = parent_of(*at) == path && requests.count(*at) == 0 ? requests_.erase(at) : std::next(at);
  for (const std::string& name : inner) enter(name, &copy);
}

void FolderWatch::not_seen(const std::string& path, int error) {
  if (means_gone(error)) return leave(path);
  Folder& folder = folders_.at(path);
  folder.next_look = monotonic() + (folder.watch >= 0 ? options_.second_look : options_.poll);
  if (folder.stamp == "gone") return;
  folder.stamp.clear();  // it is listed once it can be read
  const std::string trouble = std::strerror(error);
  if (folder.trouble == trouble) return;
  note_("watch.unreadable", {{"folder", path}, {"warning", trouble}});
  folder.trouble = trouble;
}

void FolderWatch::leave(const std::string& path) {
  const auto drop = [&](std::map<std::string, Folder>::iterator at) {
    if (at->second.watch >= 0) {
      inotify_rm_watch(inotify_, at->second.watch);
      by_watch_.erase(at->second.watch);
    }
    return folders_.erase(at);
  };
  const bool is_root = std::find(options_.roots.begin(), options_.roots.end(), path) != options_.roots.end();
  for (auto at = folders_.lower_bound(joined(path, "")); at != folders_.end() && below(at->first, path);) at = drop(at);
  if (const auto at = folders_.find(path); at != folders_.end()) drop(at);
  for (auto at = requests_.lower_bound(joined(path, "")); at != requests_.end() && below(*at, path);)
    at = requests_.erase(at);
  if (is_root) {  // it may come back
    Folder folder;
    folder.next_look = monotonic() + options_.poll;
    folder.stamp = "gone";
    folders_[path] = folder;
  }
}

void FolderWatch::look_again(double now, bool everything) {
  std::vector<std::string> due;
  for (const auto& [path, folder] : folders_)
    if (everything || now >= folder.next_look) due.push_back(path);
  for (const std::string& path : due) {
    const auto found = folders_.find(path);
    if (found == folders_.end()) continue;
    Folder& folder = found->second;
    struct stat info {};
    if (const int error = look_at_folder(path, folder.network, info); error != 0) {
      not_seen(path, error);
      continue;
    }
    if (folder.stamp == "gone") {
      folders_.erase(found);
      enter(path, nullptr);
      continue;
    }
    if (everything || folder.again > 0 || stamp_of(info) != folder.stamp)
      list(path);
    else
      folder.next_look = now + (folder.watch >= 0 ? options_.second_look : options_.poll);
  }
}

void FolderWatch::read_events() {
  alignas(inotify_event) char bytes[65536];
  for (;;) {
    const ssize_t count = read(inotify_, bytes, sizeof bytes);
    if (count <= 0) return;
    for (ssize_t at = 0; at < count;) {
      const auto* event = reinterpret_cast<const inotify_event*>(bytes + at);
      at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
      if (event->mask & IN_Q_OVERFLOW) {
        overflow_ = true;
        continue;
      }
      const auto watch = by_watch_.find(event->wd);
      if (watch == by_watch_.end()) continue;
      const std::string folder = watch->second;
      if (event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT)) {
        leave(folder);
        continue;
      }
      const std::string name = event->len > 0 ? event->name : "";
      if (name.empty() || name[0] == '.') continue;
      const std::string path = joined(folder, name);
      const bool gone = event->mask & (IN_DELETE | IN_MOVED_FROM);
      if (event->mask & IN_ISDIR) {
        // A folder that was moved has taken its watches along, under names that are no longer true.
        leave(path);
        const Folder parent = folders_.at(folder);
        if (!gone) enter(path, &parent);
      } else if (is_request_file(name)) {
        if (gone)
          requests_.erase(path);
        else
          requests_.insert(path);
      }
    }
  }
}

void FolderWatch::wait(double seconds) {
  double now = monotonic(), next = now + std::max(0.0, seconds);
  for (const auto& [path, folder] : folders_) next = std::min(next, folder.next_look);
  pollfd ends[2] = {{wake_, POLLIN, 0}, {inotify_, POLLIN, 0}};
  const double left = std::clamp(next - now, 0.0, 1000.0);
  const int count = poll(ends, inotify_ >= 0 ? 2 : 1, static_cast<int>(left * 1000 + 0.999));
  if (count > 0 && ends[0].revents != 0) {
    std::uint64_t ignored;
    (void)!read(wake_, &ignored, sizeof ignored);
  }
  if (count > 0 && inotify_ >= 0 && ends[1].revents != 0) read_events();
  now = monotonic();
  look_again(now, overflow_);
  overflow_ = false;
}

}  // namespace cryored::daemon
