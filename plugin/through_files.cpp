#include "plugin/through_files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>

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

/// Both files go when the call ends, however it ends: the request first, so that no daemon sees it unanswered.
struct Files {
  std::string request, answer, folder;
  ~Files() {
    unlink(request.c_str());
    unlink(answer.c_str());
    sync_folder(folder);
  }
};

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
  std::string text;
  try {
    text = daemon::to_text(request);
  } catch (const nlohmann::json::exception&) {
    return {false, "a word or variable of this call is no UTF-8", 1, "", ""};
  }
  const std::string base = place.folder + "/" + place.name;
  const Files files{daemon::request_file(base), daemon::answer_file(base), place.folder};
  unlink(files.answer.c_str());  // of an earlier call that was killed; its nonce would give it away in any case
  write_text_atomically(files.request, text);

  Patience patience(settings.via_files_timeout);
  std::string waiting_for = "a daemon that watches " + place.folder + " to accept " + files.request;
  std::uint64_t last_beat = 0;
  bool seen = false;
  for (double pause = 0.02;; pause = std::min(pause * 1.4, 1.0)) {
    const auto answer_text = daemon::read_small_file(files.answer);
    const auto answer = answer_text ? daemon::parse_answer(*answer_text) : std::nullopt;
    if (answer && answer->nonce == request.nonce) {
      if (answer->state == "done") return {true, "", answer->exit, answer->out, answer->err};
      if (!seen || answer->beat != last_beat) patience.reset();
      seen = true;
      last_beat = answer->beat;
      waiting_for = "the next sign of life of the daemon on " + answer->host + " in " + files.answer;
    }
    if (patience.over())
      return {false, "waited " + seconds_text(settings.via_files_timeout) + " (--via-files-timeout) for " + waiting_for,
              1, "", ""};
    waiter.sleep(pause);
  }
}

}  // namespace cryored::plugin
