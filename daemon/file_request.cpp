#include "daemon/file_request.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>

#include "core/base/error.hpp"
#include "daemon/protocol.hpp"

namespace cryored::daemon {
namespace {

std::string real_path(const std::string& path) {
  char real[PATH_MAX];
  return realpath(path.c_str(), real) ? real : "";
}

bool is_inside(const std::string& path, const std::string& folder) {
  return path == folder || folder == "/" ||
         (path.size() > folder.size() && path.compare(0, folder.size(), folder) == 0 && path[folder.size()] == '/');
}

std::string problem(const PlacedRequest& placed, const char* field, const std::string& found,
                    const std::string& allowed, const std::string& remedy) {
  return Error(Problem{placed.path, field, found, allowed, remedy}).what();
}

/// On the computing thread: the request still stands, and nobody has taken it over.
bool still_wanted(const std::string& path, const std::string& nonce, const std::string& next_answer) {
  struct stat info {};
  if (lstat(next_answer.c_str(), &info) == 0) return false;
  for (int attempt = 0; attempt < 3; ++attempt) {
    if (const auto text = read_small_file(path)) return text->find(nonce) != text->npos;
    if (lstat(path.c_str(), &info) != 0 && is_gone(errno)) return false;
    usleep(10'000);
  }
  return false;
}

}  // namespace

std::string folder_of(const std::string& path) { return path.substr(0, std::max<std::size_t>(1, path.rfind('/'))); }
std::string name_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }
bool is_gone(int error) { return error == ENOENT || error == ENOTDIR || error == ESTALE; }

std::string elsewhere(const PlacedRequest& placed, unsigned uid) {
  struct stat info {};
  if (lstat(placed.path.c_str(), &info) == 0 && info.st_uid != uid)
    return problem(placed, "owner", "user " + std::to_string(info.st_uid),
                   "user " + std::to_string(uid) + ", whose daemon this is",
                   "start a daemon of the user who runs RELION");
  const std::string real = real_path(folder_of(placed.path));
  if (!is_inside(real, placed.root))
    return problem(placed, "folder", real.empty() ? "nothing" : real + ", by a symbolic link",
                   "a folder below " + placed.root, "let the daemon watch the real folder");
  return "";
}

std::string refusal(const PlacedRequest& placed, const std::string& host) {
  const FileRequest& request = placed.request;
  if (request.protocol != protocol_version)
    return problem(placed, "protocol", std::to_string(request.protocol),
                   std::to_string(protocol_version) + ", which the daemon on " + host + " speaks",
                   "let plugin and daemon be of the same version of cryored");
  if (request.words.empty() || request.words[0] != name_of(placed.star))
    return problem(placed, "words", request.words.empty() ? "none" : request.words[0],
                   name_of(placed.star) + " as the first word", "let cryored-reconstruct write the file");
  const std::string folder = folder_of(placed.path);
  if (request.job_root_levels > std::count(folder.begin(), folder.end(), '/'))
    return problem(placed, "job_root_levels", std::to_string(request.job_root_levels), "the folders above " + folder,
                   "let cryored-reconstruct write the file");
  return "";
}

Request to_compute(const PlacedRequest& placed, int generation) {
  const FileRequest& request = placed.request;
  Request asked;
  asked.id = request.nonce.substr(0, 16);
  asked.cwd = folder_of(placed.path);
  std::string inner = name_of(placed.star);
  for (int level = 0; level < request.job_root_levels; ++level) {
    inner = name_of(asked.cwd) + "/" + inner;
    asked.cwd = folder_of(asked.cwd);
  }
  asked.words = request.words;
  asked.words[0] = inner;
  for (const auto& [name, value] : request.environment)
    if (travels(name)) asked.environment.emplace(name, value);
  asked.umask = request.umask;
  asked.attempt = generation + 1;
  asked.from = Request::From::watch;
  asked.caller = "host " + request.host + ", pid " + std::to_string(request.pid);
  asked.wanted = [path = placed.path, nonce = request.nonce,
                  next = answer_file(placed.star, request.nonce, generation + 1)] {
    return still_wanted(path, nonce, next);
  };
  return asked;
}

}  // namespace cryored::daemon
