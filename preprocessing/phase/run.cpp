#include "preprocessing/phase/run.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <thread>

#include "core/base/atomic_file.hpp"
#include "core/base/checkpoint.hpp"
#include "core/base/error.hpp"
#include "core/base/folder_lock.hpp"
#include "core/base/json_text.hpp"
#include "core/base/output_path.hpp"
#include "preprocessing/phase/normalise.hpp"
#include "preprocessing/phase/output_star.hpp"
#include "preprocessing/phase/plan.hpp"
#include "preprocessing/phase/relion_job.hpp"

namespace cryored {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using Json = nlohmann::ordered_json;

constexpr double kFlushSeconds = 2;
constexpr const char* kPublishing = "publishing";

class PhaseRun {
 public:
  PhaseRun(const PhaseRunOptions& options, PhaseMethod& method)
      : options_(options), method_(method), work_((fs::path(options.output) / ".cryored_phase").string()) {}

  PhaseRunResult run() {
    // Before anything of ours lies beside them:
    refuse_input_as_output({options_.input}, star_path());
    refuse_files_of_others();
    std::error_code error;
    fs::create_directories(work_, error);
    if (error)
      throw SystemError(Problem{options_.output, "output folder", error.message(), "a folder that can be written",
                                "make it writable, or choose another --o"});
    // Beside the work folder, which goes away: two runs would write into the same stacks.
    std::optional<FolderLock> lock;
    if (leads()) lock.emplace(work_ + ".lock", options_.output, "works in it");
    RankMeeting meeting(options_.place, work_, options_.rank_timeout);
    try {
      if (leads()) {
        try {
          prepare();
          // Counted before the other ranks begin: what they do now was not there before.
          for (const std::size_t chunk : chunks_done()) result_.resumed += chunks_.at(chunk).count;
        } catch (const std::exception& failure) {
          meeting.cancel(failure.what());
          throw;
        }
        meeting.begin();
      } else {
        meeting.begin();
        join();
      }
      share();
    } catch (const std::exception& failure) {
      meeting.finish(one_line(failure.what()));
      if (meeting.joined()) mark_failure();
      if (leads()) fs::remove(work_, error);  // where nothing lies in it: there is nothing to go on with
      throw;
    }
    meeting.finish();
    if (!leads()) return {};
    return finish(meeting);
  }

 private:
  bool leads() const { return options_.place.rank == 0; }
  double seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

  static std::string one_line(std::string text) {
    for (char& c : text)
      if (c == '\n') c = ' ';
    return text;
  }

  void mark_failure() const {
    try {
      mark_relion_exit(options_.output, RelionExit::failure);
    } catch (const Error&) {
      // The failure that brought us here is the one to report.
    }
  }

  void read_particles() {
    set_ = std::make_unique<ParticleSet>(options_.input, options_.skip_bad);
    chunks_ = phase_chunks(set_->groups());
    for (const ParticleGroup& group : set_->groups()) {
      const std::string name = "phases_" + std::to_string(group.number) + ".mrcs";
      result_.stacks.push_back((fs::path(options_.output) / name).string());
      total_ += group.rows.size();
    }
    plan_ = phase_plan(*set_, method_.description(),
                       {{"version", options_.program_version},
                        {"dose", options_.dose},
                        {"particle diameter", options_.particle_diameter}});
  }

  std::string plan_path() const { return work_ + "/plan.json"; }

  Json found_plan() const {
    std::ifstream in(plan_path());
    std::ostringstream text;
    text << in.rdbuf();
    return Json::parse(text.str(), nullptr, false);
  }

  // Rank 0: reads the input, looks for what an earlier run left, and makes the unfinished stacks.
  void prepare() {
    read_particles();
    refuse_stacks_as_output();
    clear_relion_marks(options_.output);
    if (fs::exists(plan_path()) && !options_.fresh) {
      const Json found = found_plan();
      if (!found.is_discarded()) {
        require_same_plan(found, plan_, plan_path());
        publishing_ = fs::exists(work_ + "/" + kPublishing);
        if (stacks_are_there()) return;
      }
    }
    publishing_ = false;
    if (fs::exists(work_ + "/" + kPublishing)) fs::remove(skipped_path());  // of a run that nobody goes on with
    // The plan comes last: without it the rest does not count.
    for (const auto& entry : fs::directory_iterator(work_)) {
      const std::string name = entry.path().filename().string();
      if (name == "plan.json" || name == kPublishing || name.rfind("journal.", 0) == 0) fs::remove(entry.path());
    }
    const auto& groups = set_->groups();
    for (std::size_t g = 0; g < groups.size(); ++g)
      SharedStack::create(result_.stacks[g], groups[g].box, groups[g].rows.size());
    write_text_atomically(plan_path(), json_text(plan_, 2) + "\n");
  }

  std::string star_path() const { return (fs::path(options_.output) / "particles.star").string(); }

  void refuse_stacks_as_output() const {
    std::vector<std::string> inputs = set_->stacks();
    inputs.push_back(options_.input);
    for (const std::string& stack : result_.stacks) refuse_input_as_output(inputs, stack);
    refuse_input_as_output(inputs, star_path());
  }

  std::string skipped_path() const { return (fs::path(options_.output) / "skipped.txt").string(); }

  /// An image that is not of this program's stacks, or why the file is none of its STAR files; else empty.
  static std::string foreign_image(const std::string& star_path) {
    try {
      const StarFile star = read_star(star_path);
      const StarTable* table = star.find("particles");
      if (!table) table = &star.tables.front();  // RELION 3.0
      if (!table->has("rlnImageName") || table->rows() == 0) return "no images";
      for (std::size_t row = 0; row < table->rows(); ++row) {
        std::string image(table->text(row, "rlnImageName"));
        const std::string stack = fs::path(image.substr(image.find('@') + 1)).filename().string();
        if (stack.rfind("phases_", 0) != 0 || fs::path(stack).extension() != ".mrcs") return image;
      }
    } catch (const InputError& error) {
      return one_line(error.what());
    }
    return "";
  }

  /// The STAR and the list of an earlier run may be replaced, files of others may not.
  void refuse_files_of_others() const {
    const auto refuse = [](const std::string& path, const std::string& found) {
      throw UsageError(Problem{path, "output", found, "no such file, or that of an earlier cryored phase",
                               "move it away, or choose another --o"});
    };
    const bool star = fs::exists(star_path());
    if (star) {
      const std::string foreign = foreign_image(star_path());
      if (!foreign.empty()) refuse(star_path(), "a file that cryored phase did not write (" + foreign + ")");
    }
    // Only beside a STAR is it ours, or where a run was killed while it published.
    if (!star && fs::exists(skipped_path()) && !fs::exists(work_ + "/" + kPublishing))
      refuse(skipped_path(), "a file that may not be cryored phase's (there is no particles.star beside it)");
  }

  bool stack_published(std::size_t g) const {
    const ParticleGroup& group = set_->groups()[g];
    return publishing_ && !SharedStack::exists(result_.stacks[g], group.box, group.rows.size()) &&
           fs::exists(result_.stacks[g]);
  }

  bool stacks_are_there() const {
    for (std::size_t g = 0; g < set_->groups().size(); ++g) {
      const ParticleGroup& group = set_->groups()[g];
      if (!SharedStack::exists(result_.stacks[g], group.box, group.rows.size()) && !stack_published(g)) return false;
    }
    return true;
  }

  void join() {
    read_particles();
    const Json found = found_plan();
    if (found.is_discarded())
      throw InputError(Problem{plan_path(), "plan", "unreadable", "rank 0's plan", "run again"});
    require_same_plan(found, plan_, plan_path());
    publishing_ = fs::exists(work_ + "/" + kPublishing);
  }

  std::set<std::size_t> chunks_done() const {
    std::set<std::size_t> done;
    for (const PhaseRecord& record : read_journals(work_)) done.insert(record.chunk);
    return done;
  }

  // This rank's chunks are those of number rank, rank + size ...: each is done by one rank, whoever did others before.
  void share() {
    const std::set<std::size_t> done = chunks_done();
    std::vector<std::unique_ptr<SharedStack>> stacks;
    const auto& groups = set_->groups();
    for (std::size_t g = 0; g < groups.size(); ++g)
      stacks.push_back(stack_published(g)
                           ? nullptr
                           : std::make_unique<SharedStack>(result_.stacks[g], groups[g].box, groups[g].rows.size()));
    Journal journal(work_, options_.place.rank);
    std::string lines;
    auto flushed = Clock::now();
    const auto flush = [&] {
      if (lines.empty()) return;
      for (auto& stack : stacks)
        if (stack) stack->flush();
      journal.append(lines);
      lines.clear();
      flushed = Clock::now();
    };
    tell();
    const auto step = static_cast<std::size_t>(options_.place.size);
    for (std::size_t c = static_cast<std::size_t>(options_.place.rank); c < chunks_.size(); c += step) {
      if (done.count(c)) continue;
      checkpoint();
      if (relion_wants_abort(options_.output)) {
        result_.aborted = true;
        break;
      }
      try {
        lines += (lines.empty() ? "" : "\n") + to_line(work(c, *stacks[chunks_[c].group]));
      } catch (...) {
        flush();
        throw;
      }
      if (std::chrono::duration<double>(Clock::now() - flushed).count() > kFlushSeconds) {
        flush();
        tell();
      }
    }
    flush();
    tell();
  }

  PhaseRecord work(std::size_t c, SharedStack& stack) {
    const PhaseChunk& chunk = chunks_[c];
    const ParticleGroup& group = set_->groups()[chunk.group];
    const std::size_t pixels = group.box * group.box;
    const double radius = options_.particle_diameter > 0 ? options_.particle_diameter / 2 / group.pixel_size
                                                         : 0.375 * static_cast<double>(group.box);
    ParticleImages images;
    images.box = group.box;
    images.pixel_size = group.pixel_size;
    images.dose = options_.dose;
    images.pixels.resize(chunk.count * pixels);
    PhaseRecord record;
    record.chunk = c;
    std::set<std::size_t> blank;
    const auto bad = [&](std::size_t i, const std::string& problem) {
      if (!options_.skip_bad) throw InputError(problem);
      record.bad.push_back({group.rows[chunk.first + i], problem});
      std::fill_n(images.image(i), pixels, 0.0f);
      blank.insert(i);
    };
    for (std::size_t i = 0; i < chunk.count; ++i) {
      const std::size_t row = group.rows[chunk.first + i];
      images.ctfs.push_back(set_->ctf(row));
      try {
        method_.check(images.ctfs[i], group.box, group.pixel_size);
      } catch (const InputError& error) {
        images.ctfs[i] = {};  // a blank image in its place is retrieved with the others
        bad(i, set_->where(row) + ": " + error.what());
        continue;
      }
      try {
        set_->read_image(row, images.image(i));
      } catch (const InputError& error) {
        bad(i, error.what());
        continue;
      }
      // The methods want RELION's normalisation, and older stacks may come without.
      if (!normalise_background(images.image(i), group.box, radius))
        bad(i, problem_text(row, "a constant image", "an image with contrast"));
    }
    method_.retrieve(images);
    for (std::size_t i = 0; i < chunk.count; ++i) {
      if (blank.count(i)) {
        std::fill_n(images.image(i), pixels, 0.0f);
      } else if (!finite(images.image(i), pixels) || !normalise_background(images.image(i), group.box, radius)) {
        bad(i, problem_text(group.rows[chunk.first + i], "no finite phase from this image", "one"));
      }
    }
    record.statistics.add(images.pixels.data(), images.pixels.size());
    stack.write(chunk.first, chunk.count, images.pixels.data());
    return record;
  }

  std::string problem_text(std::size_t row, const char* found, const char* allowed) const {
    return Error(Problem{set_->where(row), "image", found, allowed, "leave the particle out (--skip-bad)"}).what();
  }

  static bool finite(const float* values, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i)
      if (!std::isfinite(values[i])) return false;
    return true;
  }

  void tell(const std::string& waits_for = {}) {
    if (!leads() || !options_.progress) return;
    PhaseProgress progress{0, total_, result_.resumed, seconds(), waits_for};
    for (const PhaseRecord& record : read_journals(work_)) progress.done += chunks_.at(record.chunk).count;
    options_.progress(progress);
  }

  PhaseRunResult finish(RankMeeting& meeting) {
    try {
      for (auto told = Clock::now(); !meeting.others_finished();) {
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        if (std::chrono::duration<double>(Clock::now() - told).count() < kFlushSeconds) continue;
        told = Clock::now();
        tell(meeting.waits_for());
      }
      const auto records = read_journals(work_);
      // An abort that came when all was done already changes nothing.
      result_.aborted = records.size() < chunks_.size();
      if (result_.aborted) {
        if (!relion_wants_abort(options_.output))
          throw SystemError(Problem{work_, "journals", std::to_string(records.size()) + " pieces",
                                    std::to_string(chunks_.size()), "run the same command again"});
        mark_relion_exit(options_.output, RelionExit::aborted);
        return result_;
      }
      tell();
      publish(records);
      mark_relion_exit(options_.output, RelionExit::success);
    } catch (const std::exception&) {
      mark_failure();
      throw;
    }
    return result_;
  }

  void publish(const std::vector<PhaseRecord>& records) {
    result_.optics = set_->optics() != nullptr;
    const auto& groups = set_->groups();
    std::vector<MrcStatistics> statistics(groups.size());
    std::vector<BadParticle> bad = set_->bad();
    OutputStarOptions star{options_.ctf, options_.raw_names, result_.stacks, {}};
    for (const PhaseRecord& record : records) {  // by chunk: the sums do not depend on who did what
      statistics[chunks_[record.chunk].group].add(record.statistics);
      for (const BadParticle& one : record.bad) {
        bad.push_back(one);
        star.skipped.insert(one.row);
      }
    }
    std::sort(bad.begin(), bad.end(), [](const BadParticle& a, const BadParticle& b) { return a.row < b.row; });
    for (const BadParticle& one : bad) result_.skipped.push_back(one.problem);
    if (star.skipped.size() == total_)
      throw InputError(Problem{options_.input, "particles", "none usable", "at least one",
                               "first fault: " + result_.skipped.front()});
    write_text_atomically(work_ + "/" + kPublishing, "");
    // An earlier run's STAR goes before the first of its stacks is replaced: killed in between, a run of the same
    // command publishes the rest.
    for (const std::string& old : {star_path(), skipped_path()}) fs::remove(old);
    for (std::size_t g = 0; g < groups.size(); ++g)
      if (!stack_published(g))
        SharedStack(result_.stacks[g], groups[g].box, groups[g].rows.size())
            .publish(groups[g].pixel_size, statistics[g]);
    std::string list;
    for (const std::string& problem : result_.skipped) list += one_line(problem) + "\n";
    if (!list.empty()) write_text_atomically(skipped_path(), list);
    const StarFile out = phase_star(*set_, star);
    result_.particles = total_ - star.skipped.size();
    result_.star = star_path();
    write_star(result_.star, out);
    write_output_nodes(options_.output, result_.star);
    std::error_code ignored;
    fs::remove_all(work_, ignored);
  }

  const PhaseRunOptions& options_;
  PhaseMethod& method_;
  const std::string work_;
  const Clock::time_point start_ = Clock::now();
  std::unique_ptr<ParticleSet> set_;
  std::vector<PhaseChunk> chunks_;
  Json plan_;
  bool publishing_ = false;
  std::size_t total_ = 0;
  PhaseRunResult result_;
};

}  // namespace

PhaseRunResult run_phase(const PhaseRunOptions& options, PhaseMethod& method) {
  return PhaseRun(options, method).run();
}

}  // namespace cryored
