#include "evaluation/relion_run.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <thread>

#include "core/base/atomic_file.hpp"
#include "core/base/error.hpp"
#include "core/base/json_text.hpp"
#include "evaluation/process.hpp"
#include "evaluation/program.hpp"

namespace fs = std::filesystem;

namespace cryored {
namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

constexpr struct {
  RunEnd end;
  const char* name;
} kEnds[] = {{RunEnd::converged, "converged"},
             {RunEnd::iteration_limit, "iteration limit"},
             {RunEnd::time_limit, "time limit"},
             {RunEnd::hopeless, "hopeless"},
             {RunEnd::cancelled, "cancelled"}};

std::string timeline_path(const std::string& folder) { return (fs::path(folder) / "timeline.json").string(); }

void write_timeline(const std::string& folder, const Timeline& timeline) {
  Json iterations = Json::array();
  for (const Timeline::Entry& e : timeline.iterations)
    iterations.push_back({{"iteration", e.iteration}, {"seconds", e.seconds}});
  const Json json = {{"schema", "cryored-timeline"},
                     {"version", 1},
                     {"end", timeline.end ? Json(describe(*timeline.end)) : Json()},
                     {"segments", timeline.segments},
                     {"total_seconds", timeline.total_seconds},
                     {"cpu_seconds", timeline.cpu_seconds},
                     {"iterations", iterations}};
  write_text_atomically(timeline_path(folder), json_text(json, 2) + "\n");
}

/// Seconds until the stop rule ends the job at the latest, from the pace so far.
std::optional<double> time_left(const RelionOptions& options, const Timeline& timeline, const LogProgress& log,
                                double in_this_iteration, double elapsed) {
  std::optional<double> left;
  if (options.max_iterations > 0) {
    const int done = timeline.iterations.empty() ? 0 : timeline.iterations.back().iteration;
    double pace = 0;
    if (!timeline.iterations.empty()) {
      // The mean of the last two: iterations grow with finer sampling and shrink with sharper posteriors.
      const std::size_t n = std::min<std::size_t>(2, timeline.iterations.size());
      for (std::size_t i = 0; i < n; ++i)
        pace += timeline.iterations[timeline.iterations.size() - 1 - i].seconds / static_cast<double>(n);
    } else if (log.phase == "expectation" && log.total > 0) {
      pace = in_this_iteration - log.elapsed + log.total;
    }
    if (pace > 0) {
      const double this_one = log.phase == "expectation" && log.total > log.elapsed && log.iteration > done
                                  ? log.total - log.elapsed
                                  : std::max(0.0, pace - in_this_iteration);
      left = this_one + pace * std::max(0, options.max_iterations - done - 1);
    }
  }
  if (options.max_seconds > 0) {
    const double until = std::max(0.0, options.max_seconds - elapsed);
    left = left ? std::min(*left, until) : until;
  }
  return left;
}

}  // namespace

std::string describe(RunEnd end) {
  for (const auto& e : kEnds)
    if (e.end == end) return e.name;
  return "unknown";
}

Timeline read_timeline(const std::string& folder) {
  Timeline timeline;
  const std::string path = timeline_path(folder);
  std::ifstream file(path);
  if (!file) return timeline;
  try {
    const Json json = Json::parse(file);
    timeline.segments = json.at("segments");
    timeline.total_seconds = json.at("total_seconds");
    timeline.cpu_seconds = json.at("cpu_seconds");
    for (const Json& e : json.at("iterations")) timeline.iterations.push_back({e.at("iteration"), e.at("seconds")});
    if (!json.at("end").is_null())
      for (const auto& e : kEnds)
        if (json.at("end") == e.name) timeline.end = e.end;
  } catch (const nlohmann::json::exception& e) {
    throw InputError({path, "", e.what(), "the file as this program wrote it", "delete it to time the job anew"});
  }
  return timeline;
}

std::vector<std::string> relion_command(const RelionJob& job, const std::optional<RelionIteration>& from) {
  const RelionOptions& o = job.options;
  std::vector<std::string> words = {"mpirun", "-n", std::to_string(o.ranks), "--oversubscribe", "--bind-to", "none"};
  if (geteuid() == 0) words.push_back("--allow-run-as-root");
  words.push_back("relion_refine_mpi");
  const auto add = [&words](const std::string& name, const std::string& value) {
    words.push_back(name);
    words.push_back(value);
  };
  add("--o", "./run");  // RELION wants a folder in it
  if (from) {
    add("--continue", fs::path(from->optimiser()).filename().string());
  } else {
    for (const char* flag :
         {"--auto_refine", "--split_random_halves", "--flatten_solvent", "--zero_mask", "--norm", "--scale"})
      words.push_back(flag);
    add("--i", job.particles);
    add("--ref", job.reference);
    add("--ini_high", fmt::format("{:g}", o.initial_resolution));
    add("--particle_diameter", fmt::format("{:g}", o.particle_diameter));
    if (o.join_halves > 0) add("--low_resol_join_halves", fmt::format("{:g}", o.join_halves));
    add("--sym", o.symmetry);
    add("--healpix_order", std::to_string(o.healpix_order));
    add("--auto_local_healpix_order", std::to_string(o.local_healpix_order));
    add("--offset_range", fmt::format("{:g}", o.offset_range));
    add("--offset_step", fmt::format("{:g}", o.offset_step));
    add("--random_seed", std::to_string(o.random_seed));
  }
  add("--oversampling", std::to_string(o.oversampling));
  add("--pad", std::to_string(o.padding));
  if (o.max_significant > 0) add("--maxsig", std::to_string(o.max_significant));
  if (o.max_iterations > 0) add("--auto_iter_max", std::to_string(o.max_iterations));
  add("--j", std::to_string(o.threads));
  add("--pool", "10");
  words.push_back("--preread_images");
  words.push_back("--dont_combine_weights_via_disc");
  // 4.0.2 and 5.0.1 forget it on --continue; saying it again does no harm in 3.1.3.
  if (!job.external.empty()) words.push_back("--external_reconstruct");
  words.insert(words.end(), o.extra.begin(), o.extra.end());
  return words;
}

bool reaches_refinement(const std::string& variable) {
  static const std::set<std::string> places = {"CRYORED_WEIGHTS",
                                               "CRYORED_DEVICE",
                                               "CRYORED_THREADS",
                                               "CRYORED_LOCAL_RANKS",
                                               "CRYORED_CUDA_LIBRARY",
                                               "CRYORED_SIMD",
                                               "CRYORED_RUNTIME_DIR",
                                               "CRYORED_NO_DAEMON",
                                               "CRYORED_DAEMON_NAME",
                                               "CRYORED_VIA_FILES",
                                               "CRYORED_VIA_FILES_TIMEOUT",
                                               "CRYORED_CONNECT_TIMEOUT",
                                               "CRYORED_IDLE_TIMEOUT",
                                               "CRYORED_HEARTBEAT_TIMEOUT",
                                               "CRYORED_GPUS",
                                               "CRYORED_MEMORY_LIMIT",
                                               "CRYORED_GPU_MEMORY_LIMIT"};
  return !variable.starts_with("CRYORED_") || places.contains(variable);
}

RunEnd run_relion(const RelionJob& job, const std::function<void(const RunProgress&)>& report,
                  const std::function<bool()>& cancelled) {
  Timeline timeline = read_timeline(job.folder);
  fs::create_directories(job.folder);
  const std::vector<RelionIteration> finished = finished_iterations(job.folder);
  std::optional<RelionIteration> from;
  if (!finished.empty()) from = finished.back();
  // Everything that lies in the folder is scored, so iterations beyond the limit would be, too.
  if (job.options.max_iterations > 0 && from && from->iteration > job.options.max_iterations)
    throw InputError({job.folder, "finished iterations", std::to_string(from->iteration),
                      fmt::format("{} or less, the stop rule", job.options.max_iterations),
                      fmt::format("give a limit of {} or more, or another output folder; or move this folder away",
                                  from->iteration)});
  // An end holds only as long as its rule does, and the files that it left are whole.
  const RelionOptions& rule = job.options;
  if (timeline.end == RunEnd::converged && !joined_result(job.folder)) timeline.end.reset();
  if (timeline.end == RunEnd::iteration_limit &&
      (rule.max_iterations == 0 || !from || from->iteration < rule.max_iterations))
    timeline.end.reset();
  if (timeline.end == RunEnd::time_limit && (rule.max_seconds == 0 || timeline.total_seconds < rule.max_seconds))
    timeline.end.reset();
  const bool hopeless_now = timeline.end != RunEnd::converged && from && job.hopeless && job.hopeless(*from);
  if (timeline.end == RunEnd::hopeless && !hopeless_now) timeline.end.reset();
  if (timeline.end) return *timeline.end;
  // Iterations that finished while nobody watched (this program was killed) have no time of their own.
  while (!timeline.iterations.empty() && (!from || timeline.iterations.back().iteration > from->iteration))
    timeline.iterations.pop_back();
  for (const RelionIteration& it : finished)
    if (timeline.iterations.empty() || timeline.iterations.back().iteration < it.iteration)
      timeline.iterations.push_back({it.iteration, 0});

  if (hopeless_now && !joined_result(job.folder)) {
    timeline.end = RunEnd::hopeless;
    write_timeline(job.folder, timeline);
    return RunEnd::hopeless;
  }
  const double before = timeline.total_seconds;
  if (job.options.max_seconds > 0 && before >= job.options.max_seconds) {
    timeline.end = RunEnd::time_limit;
    write_timeline(job.folder, timeline);
    return RunEnd::time_limit;
  }
  if (!from || job.options.max_iterations <= 0 || from->iteration < job.options.max_iterations) {
    std::map<std::string, std::string> environment = {{"OMPI_MCA_mpi_yield_when_idle", "1"},
                                                      // Containers often forbid the system call behind it.
                                                      {"OMPI_MCA_btl_vader_single_copy_mechanism", "none"},
                                                      {"OMP_NUM_THREADS", "1"}};
    if (!job.external.empty()) {
      environment["RELION_EXTERNAL_RECONSTRUCT_EXECUTABLE"] = job.external;
      // In place of the user's and of any cryored.conf that lies here. A file, since cryored-reconstruct goes without a
      // daemon where this names something else, as /dev/null.
      const std::string config = fs::absolute(fs::path(job.folder) / "cryored_reconstruct.conf").string();
      write_text_atomically(config, "# Empty: the command of this refinement alone decides.\n");
      environment["CRYORED_CONFIG"] = config;
    }
    const std::string log_path = (fs::path(job.folder) / "relion.log").string();
    for (const char* needed : {"relion_refine_mpi"})
      if (find_program(needed).empty())
        throw SystemError(
            {needed, "", "not found in PATH", "RELION 3.1 or newer", "apt install relion (./dev setup does)"});

    ++timeline.segments;
    write_timeline(job.folder, timeline);
    const auto start = Clock::now();
    const auto since = [](Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); };
    LogTail log(log_path, LogTail::end_of(log_path));
    ChildProcess child(relion_command(job, from), job.folder, log_path, environment, reaches_refinement);
    auto iteration_start = start;
    std::optional<RunEnd> stopped;
    const auto note_iterations = [&] {
      const int known = timeline.iterations.empty() ? 0 : timeline.iterations.back().iteration;
      for (const RelionIteration& it : finished_iterations(job.folder, known)) {
        timeline.iterations.push_back({it.iteration, since(iteration_start)});
        iteration_start = Clock::now();
        timeline.total_seconds = before + since(start);
        write_timeline(job.folder, timeline);
        if (job.hopeless && job.hopeless(it)) stopped = RunEnd::hopeless;
      }
    };
    auto last_scan = start - std::chrono::seconds(10);
    while (!child.poll()) {
      if (Clock::now() - last_scan > std::chrono::seconds(2)) {
        note_iterations();
        last_scan = Clock::now();
      }
      const double elapsed = before + since(start);
      if (report) {
        RunProgress progress{parse_log(log.update()), 0, elapsed, {}};
        progress.finished_iterations = timeline.iterations.empty() ? 0 : timeline.iterations.back().iteration;
        progress.left = time_left(job.options, timeline, progress.log, since(iteration_start), elapsed);
        report(progress);
      }
      if (cancelled && cancelled())
        stopped = RunEnd::cancelled;
      else if (!stopped && job.options.max_seconds > 0 && elapsed > job.options.max_seconds)
        stopped = RunEnd::time_limit;
      if (stopped) {
        child.stop();
        break;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(500));
    }
    if (!stopped) note_iterations();
    if (stopped == RunEnd::hopeless && joined_result(job.folder)) stopped.reset();  // it ended by itself meanwhile
    timeline.total_seconds = before + since(start);
    timeline.cpu_seconds += child.cpu_seconds();
    write_timeline(job.folder, timeline);
    if (stopped) {
      if (*stopped != RunEnd::cancelled) {
        timeline.end = stopped;
        write_timeline(job.folder, timeline);
      }
      return *stopped;
    }
    if (*child.poll() != 0)
      throw SystemError({log_path, "relion_refine_mpi", fmt::format("exit status {}", *child.poll()), "0",
                         "see the end of the log:" + log.last_lines(15)});
  }

  const bool joined = joined_result(job.folder).has_value();
  const int last = timeline.iterations.empty() ? 0 : timeline.iterations.back().iteration;
  if (!joined && !(job.options.max_iterations > 0 && last >= job.options.max_iterations))
    throw SystemError({job.folder, "relion_refine_mpi",
                       fmt::format("exit status 0 after iteration {} without a joined map", last),
                       "a converged refinement or the iteration limit",
                       "see relion.log there; where the disk was full, make room and run the same command again"});
  timeline.end = joined ? RunEnd::converged : RunEnd::iteration_limit;
  write_timeline(job.folder, timeline);
  return *timeline.end;
}

}  // namespace cryored
