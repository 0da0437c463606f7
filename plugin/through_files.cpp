#include "plugin/through_files.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/base/atomic_file.hpp"
#include "core/base/error.hpp"
#include "daemon/exchange.hpp"

namespace cryored::plugin {
namespace {

struct Place {
  std::string star;    ///< as given
  std::string folder;  ///< of the STAR, real path
  std::string name;
  int levels = 0;
};

std::string real_path(const std::string& path) {
  char real[PATH_MAX];
  return realpath(path.c_str(), real) ? real : "";
}

/// The one word that names a STAR file; options with values cannot end like that but for file names of other kinds.
std::size_t find_star(const std::vector<std::string>& words) {
  std::size_t found = words.size();
  for (std::size_t i = 0; i < words.size(); ++i)
    if (words[i].size() > 5 && words[i].compare(words[i].size() - 5, 5, ".star") == 0 && words[i][0] != '-') found = i;
  return found;
}

/// Empty reason where the request can go through files.
std::string locate(const std::string& star, Place& place) {
  const auto slash = star.rfind('/');
  place.star = star;
  place.folder = real_path(slash == star.npos ? "." : slash == 0 ? "/" : star.substr(0, slash));
  place.name = slash == star.npos ? star : star.substr(slash + 1);
  const std::string here = real_path(".");
  if (place.folder.empty() || here.empty()) return star + " is in no folder that can be found";
  if (place.folder == here) return "";
  if (place.folder.compare(0, here.size() + (here == "/" ? 0 : 1), here == "/" ? here : here + "/") != 0)
    return star + " lies outside the working directory " + here + ", from where a daemon elsewhere cannot find it";
  const std::string below = place.folder.substr(here.size());
  place.levels = static_cast<int>(std::count(below.begin(), below.end(), '/')) + (here == "/" ? 1 : 0);
  return "";
}

void sync_folder(const std::string& folder) {
  const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  fsync(fd);
  close(fd);
}

/// All files of the request go when the call ends, however it ends: the request first, for no daemon gives a file its
/// final name without looking for it.
struct Files {
  std::string star, folder, request, nonce;
  std::string answer(int generation) const { return daemon::answer_file(star, nonce, generation); }
  ~Files() {
    withdraw();
    remove_answers(nonce);
    sync_folder(folder);
  }
  /// Another call may have put its request in the place of ours.
  bool is_anothers() const {
    const auto text = daemon::read_small_file(request);
    return text && text->find(nonce) == text->npos;
  }
  void withdraw() const {
    if (!is_anothers()) unlink(request.c_str());
  }
  /// Those with `of` in their name, and what a daemon that was killed left while it wrote one.
  void remove_answers(const std::string& of) const {
    const std::string sample = answer(0).substr(folder.size() + 1), start = sample.substr(0, sample.find(nonce));
    DIR* stream = opendir(folder.c_str());
    if (!stream) return;
    while (const dirent* entry = readdir(stream)) {
      const std::string name = entry->d_name;
      const std::size_t dot = name[0] == '.' ? 1 : 0;
      if (name.compare(dot, start.size(), start) == 0 && name.find(of, dot + start.size()) != name.npos)
        unlinkat(dirfd(stream), entry->d_name, 0);
    }
    closedir(stream);
  }
};

/// What the daemons have said so far.
class Answers {
 public:
  explicit Answers(const Files& files) : files_(files) {}
  /// Reads them anew. True where one of them is new.
  bool look() {
    bool is_new = false;
    struct stat info {};
    while (lstat(files_.answer(newest_ + 1).c_str(), &info) == 0) {
      ++newest_;
      is_new = true;
    }
    // An older daemon that was only slow may be the one that ends it.
    for (int generation = 0; generation <= newest_ && !done; ++generation) {
      const auto text = daemon::read_small_file(files_.answer(generation), 64 * 1024 * 1024);
      const auto answer = text ? daemon::parse_answer(*text) : std::nullopt;
      if (!answer || answer->nonce != files_.nonce) continue;
      if (answer->state == "done") done = answer;
      if (generation == newest_) {
        is_new |= !latest || latest->beat != answer->beat;
        latest = answer;
      }
    }
    return is_new;
  }
  std::optional<daemon::FileAnswer> done, latest;

 private:
  const Files& files_;
  int newest_ = -1;
};

/// The caller may be on another host than the daemon: the map must be seen from here before RELION looks for it.
std::string missing_result(const daemon::FileAnswer& answer, const std::string& folder) {
  if (answer.exit != 0 || answer.result.empty() || answer.result.find('/') != answer.result.npos) return "";
  const std::string path = folder + "/" + answer.result;
  struct stat info {};
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);  // opened, so that network file systems look at the server
  const bool there = fd >= 0 && fstat(fd, &info) == 0 && static_cast<std::uint64_t>(info.st_size) == answer.result_size;
  if (fd >= 0) close(fd);
  return there ? "" : path + ", " + std::to_string(answer.result_size) + " bytes, to be seen on this host";
}

}  // namespace

FileOutcome compute_through_files(const Settings& settings, const Waiter& waiter) {
  const std::size_t at = find_star(settings.words);
  if (at == settings.words.size()) return {false, "no word of this call names a STAR file", 1, "", ""};
  Place place;
  const std::string fault = locate(settings.words[at], place);
  if (!fault.empty()) return {false, fault, 1, "", ""};
  struct stat info {};
  if (stat(place.star.c_str(), &info) != 0) return {false, place.star + ": " + std::strerror(errno), 1, "", ""};

  daemon::FileRequest request;
  request.nonce = daemon::random_digits(32);
  request.words = settings.words;
  request.words[at] = place.name;
  std::rotate(request.words.begin(), request.words.begin() + static_cast<std::ptrdiff_t>(at),
              request.words.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  request.environment = daemon::handed_environment();
  request.star_size = static_cast<std::uint64_t>(info.st_size);
  request.job_root_levels = place.levels;
  request.host = daemon::host_name();
  request.pid = getpid();
  request.umask = daemon::own_umask();
  try {
    daemon::to_text(request);
  } catch (const nlohmann::json::exception&) {
    return {false, "a word or variable of this call is no UTF-8", 1, "", ""};
  }
  const std::string base = place.folder + "/" + place.name;
  const Files files{base, place.folder, daemon::request_file(base), request.nonce};
  files.remove_answers("");  // of a call that was killed; their nonces would give them away in any case
  write_text_atomically(files.request, daemon::to_text(request));

  Patience patience(settings.via_files_timeout);
  Answers answers(files);
  std::string waiting_for = "a daemon that watches " + place.folder + ", of this user (" + std::to_string(geteuid()) +
                            "; others' leave it), to accept " + files.request;
  double next_beat = now() + 0.05, beat_pause = 0.1;
  for (double pause = 0.02;; pause = std::min(pause * 1.4, 0.5)) {
    if (answers.look()) {
      patience.reset();
      waiting_for = "the next sign of life of the daemon on " + answers.latest->host + " in " + place.folder +
                    " (it said last: " + answers.latest->state + ", " + answers.latest->note + ")";
    }
    if (answers.done) {
      // From here on nobody publishes for this request; then the answer is final.
      files.withdraw();
      const std::string missing = missing_result(*answers.done, place.folder);
      if (missing.empty()) return {true, "", answers.done->exit, answers.done->out, answers.done->err};
      waiting_for = missing;
    } else if (now() >= next_beat) {
      // Anew each time, and not only touched: that also lets network file systems see what else is new in the folder.
      if (lstat(files.request.c_str(), &info) != 0 && errno == ENOENT)
        throw SystemError(Problem{files.request, "request file", "it was removed while this call waited",
                                  "to stay there", "this counts as cancelled; run the job again"});
      // Two that replace each other's would both be cancelled without end; the younger one goes on.
      if (files.is_anothers())
        throw SystemError(Problem{files.request, "request file", "another call has put its request in its place",
                                  "one call for a map at a time",
                                  "see whether this job runs twice; this call counts as cancelled"});
      ++request.beat;
      try {
        write_text_atomically(files.request, daemon::to_text(request));
      } catch (const Error&) {
        // A full disk may have room again before the daemon gives this call up.
      }
      next_beat = now() + beat_pause;
      beat_pause = std::min(beat_pause * 2, 2.0);
    }
    if (patience.over())
      return {false, "waited " + seconds_text(settings.via_files_timeout) + " (--via-files-timeout) for " + waiting_for,
              1, "", ""};
    waiter.sleep(std::min(pause, std::max(0.005, next_beat - now())));
  }
}

}  // namespace cryored::plugin
