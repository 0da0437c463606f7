#include "preprocessing/ranks.hpp"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <thread>

#include "core/base/atomic_file.hpp"
#include "core/base/error.hpp"

namespace cryored {
namespace {

// Each rank writes files of its own, whole (by rename), with a first line that says of which launch they are:
//   hello.K   a random word of rank K
//   start     rank 0's random word; "go" or "stop MESSAGE"; the words of the ranks that it has seen
//   ready.K   rank 0's word: rank K knows this launch
//   done.K    rank 0's word; what went wrong, or nothing
//   alive.K   a word of rank K, where it runs, and a number that grows: rank 0's until all have begun, the others'
//   until
//             they are done
// A word of an earlier launch never matches, so files left by a killed one do no harm.

int whole_number(const std::string& name, const std::string& text) {
  int value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && stop == text.data() + text.size() && value >= 0) return value;
  throw UsageError(Problem{"environment variable " + name, "", text, "a whole number",
                           "start the program with mpirun or srun, or unset the variable"});
}

std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream in(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::string random_word() {
  std::random_device device;
  std::ostringstream word;
  for (int i = 0; i < 4; ++i) word << std::hex << device();
  return word.str();
}

std::string this_process() {
  char host[256] = {};
  gethostname(host, sizeof host - 1);
  return std::string(host) + ", pid " + std::to_string(getpid());
}

std::string numbers(const std::vector<int>& values) {
  std::string text;
  for (const int value : values) text += (text.empty() ? "" : ", ") + std::to_string(value);
  return text;
}

std::string whole_seconds(double seconds) { return std::to_string(std::lround(seconds)) + " s"; }

void pause() { std::this_thread::sleep_for(std::chrono::milliseconds(50)); }

}  // namespace

RankPlace rank_place(const std::function<std::string(const std::string&)>& environment) {
  struct Launcher {
    const char *name, *rank, *size, *local;
  };
  constexpr Launcher launchers[] = {
      {"Open MPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE"},
      {"MPICH", "PMI_RANK", "PMI_SIZE", "MPI_LOCALNRANKS"},
      {"srun", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", ""}};
  for (const Launcher& launcher : launchers) {
    const std::string rank = environment(launcher.rank), size = environment(launcher.size);
    if (rank.empty() || size.empty()) continue;
    RankPlace place{whole_number(launcher.rank, rank), whole_number(launcher.size, size), 1, launcher.name};
    if (place.size < 1 || place.rank >= place.size)
      throw UsageError(Problem{std::string("environment variable ") + launcher.rank, "", rank,
                               "below " + std::string(launcher.size) + ", which is " + size,
                               "start the program with mpirun or srun, or unset both"});
    const std::string local = environment(launcher.local);
    // Slurm's own list of tasks per node is coded; where ranks per machine are unknown, assume all are here.
    place.local_size = local.empty() ? place.size : std::max(1, whole_number(launcher.local, local));
    if (place.size == 1) place.launcher.clear();
    return place;
  }
  return {};
}

RankMeeting::RankMeeting(const RankPlace& place, std::string folder, double timeout)
    : place_(place), folder_(std::move(folder)), token_(random_word()), timeout_(timeout), joined_(place.rank == 0) {
  if (place_.size == 1) return;
  silences_.resize(static_cast<std::size_t>(place_.size));
  signs_ = std::thread([this, each = std::min(5.0, timeout / 5)] { live(each); });
}

RankMeeting::~RankMeeting() { end_signs(); }

void RankMeeting::end_signs() {
  {
    const std::lock_guard hold(mutex_);
    end_ = true;
  }
  ended_.notify_all();
  if (signs_.joinable()) signs_.join();
}

void RankMeeting::live(double pause) {
  const std::string word = random_word(), path = file("alive." + std::to_string(place_.rank));
  std::unique_lock hold(mutex_);
  for (long beat = 0; !end_; ++beat) {
    hold.unlock();
    try {
      write_text_atomically(path, word + "\n" + this_process() + "\n" + std::to_string(beat) + "\n");
    } catch (const std::exception&) {
      // A folder that takes no files is reported where results are written to it.
    }
    hold.lock();
    ended_.wait_for(hold, std::chrono::duration<double>(pause), [this] { return end_; });
  }
}

void RankMeeting::listen_to(int rank, Silence& silence) const {
  const auto now = Clock::now();
  // A long gap is this process's own: it was stopped, and the other one may have been stopped with it.
  silence.seconds += std::min(1.0, std::chrono::duration<double>(now - silence.looked).count());
  silence.looked = now;
  const auto lines = lines_of(file("alive." + std::to_string(rank)));
  if (silence.name.empty()) silence.name = "rank " + std::to_string(rank);
  if (lines.size() < 3) return;
  const std::string sign = lines[0] + lines[2];
  if (sign == silence.sign) return;
  // The first one may be that of an earlier launch; it counts as one of now, which costs no more than a longer wait.
  silence.sign = sign;
  silence.name = "rank " + std::to_string(rank) + " (" + lines[1] + ")";
  silence.seconds = 0;
}

void RankMeeting::publish(const std::string& state) const {
  std::string text = token_ + "\n" + state + "\n";
  for (int k = 1; k < place_.size; ++k)
    for (const std::string& word : lines_of(file("hello." + std::to_string(k)))) text += word + "\n";
  write_text_atomically(file("start"), text);
}

std::vector<int> RankMeeting::not_ready() const {
  std::vector<int> missing;
  for (int k = 1; k < place_.size; ++k) {
    const auto lines = lines_of(file("ready." + std::to_string(k)));
    if (lines.empty() || lines[0] != token_) missing.push_back(k);
  }
  return missing;
}

void RankMeeting::begin() {
  if (place_.size == 1) return;
  const auto end = Clock::now() + std::chrono::duration<double>(timeout_);
  const std::string place = place_.launcher + " rank " + std::to_string(place_.rank);
  if (place_.rank == 0) {
    std::string published;
    for (auto missing = not_ready(); !missing.empty(); missing = not_ready()) {
      std::string words;
      for (int k = 1; k < place_.size; ++k)
        for (const std::string& word : lines_of(file("hello." + std::to_string(k)))) words += word + "\n";
      if (words != published || published.empty()) publish("go");
      published = words;
      if (Clock::now() > end)
        throw SystemError(Problem{place, "other ranks",
                                  "no word of rank " + numbers(missing) + " of " + std::to_string(place_.size),
                                  "one of each within " + whole_seconds(timeout_),
                                  "see whether every machine of the job sees the folder " + folder_});
      pause();
    }
    end_signs();
    return;
  }
  Silence leader;
  const std::string word = token_, number = std::to_string(place_.rank);
  write_text_atomically(file("hello." + number), word + "\n");
  for (;;) {
    const auto lines = lines_of(file("start"));
    for (std::size_t i = 2; i < lines.size(); ++i) {
      if (lines[i] != word) continue;
      if (lines[1] != "go") throw Error(place + ": rank 0 stopped: " + lines[1].substr(lines[1].find(" ") + 1));
      token_ = lines[0];
      write_text_atomically(file("ready." + number), token_ + "\n");
      joined_ = true;
      return;
    }
    listen_to(0, leader);  // it may prepare for long
    if (leader.seconds > timeout_)
      throw SystemError(Problem{place, leader.name, "no sign of it in " + folder_,
                                "one within " + whole_seconds(timeout_),
                                "see whether every machine of the job sees this folder"});
    pause();
  }
}

void RankMeeting::cancel(const std::string& problem) {
  if (place_.size == 1 || place_.rank != 0) return;
  std::string line = problem;
  for (char& c : line)
    if (c == '\n') c = ' ';
  // Ranks that come a little later see it too.
  for (int i = 0; i < 20; ++i) {
    publish("stop: " + line);
    pause();
  }
}

void RankMeeting::finish(const std::string& problem) {
  end_signs();
  if (place_.rank == 0 || !joined_) return;
  write_text_atomically(file("done." + std::to_string(place_.rank)), token_ + "\n" + problem + "\n");
}

bool RankMeeting::others_finished() {
  waits_for_.clear();
  for (int k = 1; k < place_.size; ++k) {
    const auto lines = lines_of(file("done." + std::to_string(k)));
    const bool done = lines.size() >= 2 && lines[0] == token_;
    if (done && !lines[1].empty())
      throw Error("rank " + std::to_string(k) + " of " + std::to_string(place_.size) + ": " + lines[1]);
    if (done) continue;
    Silence& silence = silences_[static_cast<std::size_t>(k)];
    listen_to(k, silence);
    if (silence.seconds > timeout_)
      throw SystemError(
          Problem{silence.name + " of " + std::to_string(place_.size), "its share of the work",
                  "no sign of life for " + whole_seconds(silence.seconds) + " in " + file("alive." + std::to_string(k)),
                  "one every few seconds until it is done",
                  "see what ended it (its log, memory of its machine), and give the same command again: "
                  "what is done stays"});
    waits_for_ += (waits_for_.empty() ? "" : ", ") + silence.name;
    if (silence.seconds > 15) waits_for_ += ", silent for " + whole_seconds(silence.seconds);
  }
  return waits_for_.empty();
}

}  // namespace cryored
