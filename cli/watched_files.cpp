#include "cli/watched_files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>

#include "core/base/error.hpp"
#include "core/formats/mrc.hpp"
#include "core/reconstruct/request.hpp"

namespace cryored {
namespace {

using daemon::FilesLook;
using State = FilesLook::State;

/// Ends a look early.
struct Verdict {
  State state;
  std::string text;
};

std::string real_path(const std::string& path) {
  char real[PATH_MAX];
  return realpath(path.c_str(), real) ? real : "";
}

std::string folder_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

bool inside(const std::string& path, const std::string& root) {
  return root == "/" || path == root ||
         (path.size() > root.size() && path.compare(0, root.size(), root) == 0 && path[root.size()] == '/');
}

/// Throws Verdict where the path leads out of the watched folder or does not exist (yet).
void check_place(const std::string& path, const char* field, const std::string& root) {
  const std::string real = real_path(path);
  if (real.empty() && (errno == ENOENT || errno == ENOTDIR || errno == ESTALE)) {
    struct stat info {};
    const bool dangling = lstat(path.c_str(), &info) == 0 && S_ISLNK(info.st_mode);
    throw Verdict{
        State::incomplete,
        Error(Problem{path, field, dangling ? "a symbolic link to nothing" : "not there", "a file that the daemon sees",
                      "if RELION was given an absolute --o, let the daemon's host have the same paths"})
            .what()};
  }
  if (real.empty())
    throw Verdict{
        State::incomplete,
        Error(Problem{path, field, std::strerror(errno), "a file that can be read", "see its permissions"}).what()};
  if (!inside(real, root))
    throw Verdict{State::refused, Error(Problem{path, field, real + (real == path ? "" : ", by a symbolic link"),
                                                "a place inside the watched folder " + root,
                                                "let the daemon watch the folder that holds all files of the job"})
                                      .what()};
}

struct Opened {
  explicit Opened(const std::string& path) : fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
    if (fd < 0 || fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
      const std::string why = fd < 0 ? std::strerror(errno) : "no regular file";
      if (fd >= 0) close(fd);
      throw Verdict{State::incomplete,
                    Error(Problem{path, "", why, "a file that can be read", "see its permissions"}).what()};
    }
  }
  ~Opened() { close(fd); }
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;
  std::string stamp() const {
    return std::to_string(info.st_ino) + "." + std::to_string(info.st_size) + "." +
           std::to_string(info.st_mtim.tv_sec) + "." + std::to_string(info.st_mtim.tv_nsec) + " ";
  }
  int fd;
  struct stat info {};
};

std::string look_at_star(const std::string& star, std::uint64_t size) {
  const Opened file(star);
  const auto found = static_cast<std::uint64_t>(file.info.st_size);
  if (found != size)
    throw Verdict{State::incomplete, Error(Problem{star, "size", std::to_string(found) + " bytes",
                                                   std::to_string(size) + " bytes, as the caller saw it",
                                                   "see whether the file systems of both hosts are the same one"})
                                         .what()};
  return file.stamp();
}

std::string look_at_mrc(const std::string& path) {
  const Opened file(path);
  std::array<unsigned char, 1024> header{};
  const ssize_t count = pread(file.fd, header.data(), header.size(), 0);
  // Its own message for a file that is too short covers a short read as well.
  parse_mrc_header(header.data(), count < 1024 ? 0 : static_cast<std::uint64_t>(file.info.st_size), path);
  return file.stamp();
}

}  // namespace

FilesLook look_at_watched_files(const daemon::Request& request, const std::string& star, std::uint64_t star_size,
                                const std::string& root) {
  FilesLook look;
  try {
    check_place(star, "STAR file", root);
    look.stamp = look_at_star(star, star_size);
    const ReconstructRequest wanted = read_request(star, request.cwd);  // throws where rows are missing
    const std::pair<const char*, const std::string*> inputs[] = {{"rlnExtReconsDataReal", &wanted.data_real},
                                                                 {"rlnExtReconsDataImag", &wanted.data_imag},
                                                                 {"rlnExtReconsWeight", &wanted.weight}};
    for (const auto& [label, path] : inputs) {
      check_place(*path, label, root);
      look.stamp += look_at_mrc(*path);
    }
    // Files are replaced there, never written through a link, so that their folder counts.
    check_place(folder_of(wanted.result), "rlnExtReconsResult", root);
    check_place(folder_of(wanted.result_star), "rlnExtReconsResultStarfile", root);
    look.result = wanted.result;
    look.state = State::complete;
  } catch (const Verdict& verdict) {
    look.state = verdict.state;
    look.text = verdict.text;
  } catch (const std::exception& error) {
    look.state = State::incomplete;
    look.text = error.what();
  }
  return look;
}

}  // namespace cryored
