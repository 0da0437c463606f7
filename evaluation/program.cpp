#include "evaluation/program.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "core/base/error.hpp"
#include "evaluation/process.hpp"

namespace fs = std::filesystem;

namespace cryored {

std::streamoff LogTail::end_of(const std::string& path) {
  std::error_code none;
  const auto size = fs::file_size(path, none);
  return none ? 0 : static_cast<std::streamoff>(size);
}

const std::string& LogTail::update() {
  std::ifstream file(path_, std::ios::binary);
  file.seekg(position_);
  std::ostringstream text;
  text << file.rdbuf();
  const std::string fresh = text.str();
  position_ += static_cast<std::streamoff>(fresh.size());
  tail_ += fresh;
  // A phase's progress bar is some 4 KB; one marker before it is all that is needed.
  if (tail_.size() > 65536) tail_.erase(0, tail_.size() - 32768);
  return tail_;
}

std::string LogTail::last_lines(std::size_t count) {
  std::vector<std::string> lines;
  std::string text = update();
  std::replace(text.begin(), text.end(), '\r', '\n');
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);)
    if (line.find_first_not_of(" \t") != std::string::npos && line.find("~~(,_,") == std::string::npos)
      lines.push_back(line);
  std::string out;
  for (std::size_t i = lines.size() > count ? lines.size() - count : 0; i < lines.size(); ++i) out += "\n  " + lines[i];
  return out;
}

bool run_program(const std::vector<std::string>& words, const std::string& folder, const std::string& log,
                 const std::function<void(const std::string&)>& report, const std::function<bool()>& cancelled) {
  fs::create_directories(folder);
  LogTail tail(log, LogTail::end_of(log));
  ChildProcess child(words, folder, log, {{"OMP_NUM_THREADS", "1"}});
  // Short programs are looked at often, long ones seldom.
  for (auto pause = std::chrono::milliseconds(10); !child.poll();
       pause = std::min(2 * pause, std::chrono::milliseconds(300))) {
    if (cancelled && cancelled()) {
      child.stop();
      return false;
    }
    if (report) report(tail.update());
    std::this_thread::sleep_for(pause);
  }
  if (*child.poll() != 0)
    throw SystemError({log, words[0], fmt::format("exit status {}", *child.poll()), "0",
                       "see the end of the log:" + tail.last_lines(15)});
  return true;
}

}  // namespace cryored
