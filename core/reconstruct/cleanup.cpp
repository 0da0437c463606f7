#include "core/reconstruct/cleanup.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <regex>

namespace cryored {
namespace {

/// The parts of an iteration that RELION writes when it is over.
struct EndFiles {
  bool optimiser = false, sampling = false, data = false, model = false;
  bool half_model[2] = {false, false};
  bool complete() const { return optimiser && sampling && data && (model || (half_model[0] && half_model[1])); }
};

struct Input {
  int iteration;
  std::string name;
};

struct Listing {
  /// By continuation ("" or "_ct5") and iteration: each is written by one run of RELION.
  std::map<std::pair<std::string, int>, EndFiles> ends;
  std::vector<Input> inputs;
};

bool is_regular(int folder, const std::string& name) {
  struct stat info {};
  return fstatat(folder, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(info.st_mode) && info.st_size > 0;
}

void sort_in(int folder, const std::string& base, const std::string& name, Listing& listing) {
  static const std::regex input(
      "^(_ct[0-9]{1,9})?_it([0-9]{3,9})(_half[12])?_(class|body)[0-9]{3,9}_external_reconstruct_"
      "(data_real|data_imag|weight)\\.mrc$");
  static const std::regex end(
      "^(_ct[0-9]{1,9})?_it([0-9]{3,9})_((half([12])_)?(model)|optimiser|sampling|data)\\.star$");
  // std::regex recurses per character; no file system has longer names.
  if (name.size() <= base.size() || name.size() > 255 || name.compare(0, base.size(), base) != 0) return;
  const std::string rest = name.substr(base.size());
  std::smatch part;
  if (std::regex_match(rest, part, input)) {
    listing.inputs.push_back({std::stoi(part[2].str()), name});
  } else if (std::regex_match(rest, part, end) && is_regular(folder, name)) {
    EndFiles& files = listing.ends[{part[1].str(), std::stoi(part[2].str())}];
    const std::string kind = part[3].str();
    if (part[5].matched)
      files.half_model[part[5].str() == "2"] = true;
    else if (part[6].matched)
      files.model = true;
    else
      (kind == "optimiser" ? files.optimiser : kind == "sampling" ? files.sampling : files.data) = true;
  }
}

struct CloseFolder {
  void operator()(DIR* folder) const { closedir(folder); }
};

std::string why(int error) { return std::strerror(error); }

void remove_one(int folder, const std::string& name, CleanupReport& report) {
  struct stat info {};
  if (fstatat(folder, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
    // The other half's call removes the same files at the same time.
    if (errno != ENOENT) report.notes.push_back(name + ": " + why(errno));
    return;
  }
  if (!S_ISREG(info.st_mode)) {
    report.notes.push_back(name + ": " + (S_ISLNK(info.st_mode) ? "a symbolic link" : "not a regular file"));
    return;
  }
  if (unlinkat(folder, name.c_str(), 0) == 0) {
    report.removed.push_back(name);
    report.bytes += static_cast<std::uint64_t>(info.st_size);
  } else if (errno != ENOENT) {
    report.notes.push_back(name + ": " + why(errno));
  }
}

}  // namespace

CleanupReport remove_finished_inputs(const ReconstructRequest& request) {
  CleanupReport report;
  if (request.iteration < 0) {
    report.notes.push_back(request.star_path + ": its name does not follow RELION's pattern");
    return report;
  }
  const auto slash = request.job_root.rfind('/');
  std::string folder = slash == std::string::npos ? "." : request.job_root.substr(0, slash);
  if (folder.empty()) folder = "/";
  static const std::regex continued("_ct[0-9]{1,9}$");
  const std::string base = std::regex_replace(
      slash == std::string::npos ? request.job_root : request.job_root.substr(slash + 1), continued, "");

  // Everything happens relative to this descriptor, so a folder that is renamed or replaced meanwhile is not met.
  const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) {
    report.notes.push_back(folder + ": " + (errno == ELOOP || errno == ENOTDIR ? "a symbolic link" : why(errno)));
    return report;
  }
  const std::unique_ptr<DIR, CloseFolder> entries(fdopendir(fd));
  if (!entries) {
    report.notes.push_back(folder + ": " + why(errno));
    close(fd);
    return report;
  }
  Listing listing;
  while (const dirent* entry = readdir(entries.get())) sort_in(fd, base, entry->d_name, listing);

  for (const auto& [run, files] : listing.ends)
    if (run.second < request.iteration && files.complete()) report.kept_from = std::max(report.kept_from, run.second);
  std::sort(listing.inputs.begin(), listing.inputs.end(),
            [](const Input& a, const Input& b) { return a.name < b.name; });
  for (const Input& input : listing.inputs)
    if (input.iteration < report.kept_from) remove_one(fd, input.name, report);
  return report;
}

}  // namespace cryored
