#include "preprocessing/phase/plan.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>

#include "core/base/error.hpp"
#include "core/base/json_text.hpp"
#include "core/base/sha256.hpp"

namespace cryored {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kPixelsOfChunk = std::size_t{1} << 21;

}  // namespace

std::vector<PhaseChunk> phase_chunks(const std::vector<ParticleGroup>& groups) {
  std::vector<PhaseChunk> chunks;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const std::size_t size = std::clamp<std::size_t>(kPixelsOfChunk / (groups[g].box * groups[g].box), 8, 256);
    for (std::size_t first = 0; first < groups[g].rows.size(); first += size)
      chunks.push_back({g, first, std::min(size, groups[g].rows.size() - first)});
  }
  return chunks;
}

std::string to_line(const PhaseRecord& record) {
  const MrcStatistics& s = record.statistics;
  Json line{{"chunk", record.chunk}, {"count", s.count}, {"shift", s.shift}, {"sum", s.sum}, {"square", s.square}};
  // JSON has no infinity: an empty piece has no extremes.
  if (s.count > 0) line["range"] = {s.low, s.high};
  for (const BadParticle& bad : record.bad) line["bad"].push_back({bad.row, bad.problem});
  return json_text(line);
}

std::vector<PhaseRecord> read_journals(const std::string& folder) {
  std::map<std::size_t, PhaseRecord> records;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().filename().string().rfind("journal.", 0) != 0) continue;
    std::ifstream in(entry.path());
    for (std::string text; std::getline(in, text);) {
      const Json line = Json::parse(text, nullptr, false);
      if (line.is_discarded() || !line.contains("chunk") || !line.contains("square")) continue;
      PhaseRecord record;
      record.chunk = line["chunk"];
      MrcStatistics& s = record.statistics;
      s.count = line["count"];
      s.shift = line["shift"];
      s.sum = line["sum"];
      s.square = line["square"];
      if (line.contains("range")) {
        s.low = line["range"][0];
        s.high = line["range"][1];
      }
      if (line.contains("bad"))
        for (const Json& bad : line["bad"]) record.bad.push_back({bad[0], bad[1]});
      records[record.chunk] = std::move(record);
    }
  }
  std::vector<PhaseRecord> list;
  for (auto& [chunk, record] : records) list.push_back(std::move(record));
  return list;
}

Journal::Journal(const std::string& folder, int rank) : path_(folder + "/journal." + std::to_string(rank)) {
  fd_ = open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (fd_ < 0)
    throw SystemError(
        Problem{path_, "cannot open the journal", std::strerror(errno), "", "make the folder " + folder + " writable"});
  // A line that a kill has cut short must not swallow the next one.
  struct stat info {};
  char last = '\n';
  if (fstat(fd_, &info) == 0 && info.st_size > 0 && pread(fd_, &last, 1, info.st_size - 1) == 1 && last != '\n')
    append("");
}

Journal::~Journal() {
  if (fd_ >= 0) close(fd_);
}

void Journal::append(const std::string& lines) {
  const std::string text = lines + "\n";
  for (std::size_t at = 0; at < text.size();) {
    const ssize_t done = ::write(fd_, text.data() + at, text.size() - at);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0)
      throw SystemError(Problem{path_, "cannot write the journal", std::strerror(errno), "",
                                "free space on its file system, then run again"});
    at += static_cast<std::size_t>(done);
  }
}

Json phase_plan(const ParticleSet& set, const std::string& method, const Json& more) {
  Json plan{{"particles", set.star().path}, {"sha256", sha256_file(set.star().path)}, {"method", method}};
  for (const auto& [key, value] : more.items()) plan[key] = value;
  std::string stacks;
  for (const std::string& path : set.stacks()) {
    struct stat info {};
    if (stat(path.c_str(), &info) != 0) continue;  // reading it will say so
    stacks += path + " " + std::to_string(info.st_size) + " " + std::to_string(info.st_mtim.tv_sec) + "." +
              std::to_string(info.st_mtim.tv_nsec) + "\n";
  }
  plan["stacks"] = sha256_bytes(stacks.data(), stacks.size());
  Json groups = Json::array();
  for (const ParticleGroup& group : set.groups()) groups.push_back({group.number, group.box, group.rows.size()});
  plan["groups"] = groups;
  return plan;
}

void require_same_plan(const Json& found, const Json& now, const std::string& path) {
  for (const auto& [key, value] : now.items()) {
    const Json before = found.contains(key) ? found[key] : Json();
    if (before == value) continue;
    throw InputError(Problem{path, "an unfinished run in this folder differs in " + key, json_text(before),
                             json_text(value) + " as now",
                             "give the same options to go on with it, another --o, or --fresh to begin anew"});
  }
}

}  // namespace cryored
