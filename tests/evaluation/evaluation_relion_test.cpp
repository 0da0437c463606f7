// With real RELION: the Euler convention of the scoring, and a small refinement through
// cryored that must follow the one through RELION's own relion_external_reconstruct.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "core/base/error.hpp"
#include "core/base/temporary_folder.hpp"
#include "core/formats/mrc.hpp"
#include "core/fourier/fft.hpp"
#include "core/fourier/shells.hpp"
#include "evaluation/benchmark_run.hpp"
#include "evaluation/cell.hpp"
#include "evaluation/process.hpp"
#include "evaluation/raw_maps.hpp"
#include "training/relion_pairs.hpp"

namespace fs = std::filesystem;

namespace cryored {
namespace {

int run_and_wait(const std::vector<std::string>& words, const fs::path& folder) {
  ChildProcess child(words, folder.string(), (folder / "log").string(), {});
  while (!child.poll()) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  return *child.poll();
}

TEST(EulerConvention, IsThatOfRelionProject) {
  const TemporaryFolder temporary;
  const fs::path& folder = temporary.path();
  constexpr std::size_t n = 48;
  // One blob off the centre: its projection must lie at the x and y of A r.
  const std::array<double, 3> r = {9, -5, 6};
  Map map(n, n, n);
  for (std::size_t z = 0; z < n; ++z)
    for (std::size_t y = 0; y < n; ++y)
      for (std::size_t x = 0; x < n; ++x) {
        const double dx = static_cast<double>(x) - 24 - r[0], dy = static_cast<double>(y) - 24 - r[1],
                     dz = static_cast<double>(z) - 24 - r[2];
        map(x, y, z) = static_cast<float>(std::exp(-(dx * dx + dy * dy + dz * dz) / 8));
      }
  write_mrc((folder / "map.mrc").string(), map, 1);
  int checked = 0;
  for (const EulerAngles angles : {EulerAngles{0, 0, 0}, EulerAngles{30, 0, 0}, EulerAngles{0, 50, 0},
                                   EulerAngles{0, 0, 70}, EulerAngles{-110, 65, 20}, EulerAngles{75, 140, -160}}) {
    ASSERT_EQ(run_and_wait({"relion_project", "--i", "map.mrc", "--o", "view.mrc", "--angpix", "1", "--rot",
                            std::to_string(angles.rot), "--tilt", std::to_string(angles.tilt), "--psi",
                            std::to_string(angles.psi)},
                           folder),
              0);
    const Map view = read_mrc((folder / "view.mrc").string());
    ASSERT_EQ(view.nx, n);
    std::size_t best = 0;
    for (std::size_t i = 0; i < view.size(); ++i)
      if (view.data[i] > view.data[best]) best = i;
    // Centroid around the maximum.
    double sum = 0, cx = 0, cy = 0;
    for (std::size_t y = 0; y < n; ++y)
      for (std::size_t x = 0; x < n; ++x) {
        const double w = view.data[y * n + x];
        if (w < 0.2 * view.data[best]) continue;
        sum += w;
        cx += w * static_cast<double>(x);
        cy += w * static_cast<double>(y);
      }
    const Rotation a = rotation_from(angles);
    const double ex = a.m[0][0] * r[0] + a.m[0][1] * r[1] + a.m[0][2] * r[2];
    const double ey = a.m[1][0] * r[0] + a.m[1][1] * r[1] + a.m[1][2] * r[2];
    EXPECT_NEAR(cx / sum - 24, ex, 0.15) << angles.rot << " " << angles.tilt << " " << angles.psi;
    EXPECT_NEAR(cy / sum - 24, ey, 0.15) << angles.rot << " " << angles.tilt << " " << angles.psi;
    ++checked;
  }
  EXPECT_EQ(checked, 6);
}

double relative_rms(const Map& a, const Map& b) {
  double difference = 0, power = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference += std::pow(static_cast<double>(a.data[i]) - b.data[i], 2);
    power += std::pow(static_cast<double>(a.data[i]), 2);
  }
  return std::sqrt(difference / power);
}

class SmallRefinement : public testing::Test {
 protected:
  static constexpr int kIterations = 2;

  static void SetUpTestSuite() {
    temporary_ = std::make_unique<TemporaryFolder>();
    top_ = temporary_->path();
    base_ = top_ / "4AKE_small";
    fs::create_directories(base_);
    data_.name = "4AKE";
    data_.structure = std::string(CRYORED_TEST_DATA) + "/4AKE.pdb.gz";
    data_.options.box = 32;
    data_.options.pixel_size = 4;
    data_.options.count = 120;
    data_.options.snr = 0.4;
    data_.folder = (base_ / "particles").string();
    prepare_data_set(data_);
    truth_ = read_truth(data_.folder);
  }
  static void TearDownTestSuite() { temporary_.reset(); }

  static CellResult refine(const RefineMode& mode) {
    const Cell cell = cell_for(mode);
    return run_cell(cell, data_, truth_, {}, {});
  }
  static Cell cell_for(const RefineMode& mode) {
    Cell cell;
    cell.name = mode.name;
    cell.mode = mode;
    cell.folder = (base_ / mode.name).string();
    cell.relion.max_iterations = kIterations;
    cell.relion.healpix_order = 1;
    cell.relion.max_significant = 100;
    return cell;
  }

  static inline std::unique_ptr<TemporaryFolder> temporary_;
  static inline fs::path top_, base_;
  static inline DataSet data_;
  static inline Truth truth_;
};

TEST_F(SmallRefinement, GaussianPathFollowsRelionsOwnProgram) {
  const CellResult relion = refine({"relion", "relion_external_reconstruct"});
  const CellResult ours = refine(refine_mode("gaussian", CRYORED_RECONSTRUCT));
  ASSERT_EQ(relion.end, RunEnd::iteration_limit);
  ASSERT_EQ(ours.end, RunEnd::iteration_limit);
  EXPECT_EQ(ours.relion_version.substr(0, 2), "3.");
  const auto a = finished_iterations(cell_for({"relion", ""}).folder),
             b = finished_iterations(cell_for({"gaussian", ""}).folder);
  ASSERT_EQ(a.size(), static_cast<std::size_t>(kIterations));
  ASSERT_EQ(b.size(), a.size());
  for (std::size_t k = 0; k < a.size(); ++k) {
    // RELION's own records must be missing there, ours present here.
    EXPECT_FALSE(fs::exists(a[k].record(1)));
    for (const int half : {1, 2}) {
      ASSERT_TRUE(fs::exists(b[k].record(half))) << b[k].record(half);
      EXPECT_LT(relative_rms(read_mrc(a[k].map(half)), read_mrc(b[k].map(half))), 1e-3) << "iteration " << k + 1;
    }
    const auto p = read_poses(a[k].data()), q = read_poses(b[k].data());
    ASSERT_EQ(p.size(), q.size());
    std::size_t same = 0;
    for (std::size_t n = 0; n < p.size(); ++n)
      if (angle_between(rotation_from(p[n].angles), rotation_from(q[n].angles)) < 0.01) ++same;
    EXPECT_GE(same, p.size() - 1) << "iteration " << k + 1;  // a tie between two poses may fall either way
  }
  // Had RELION been asked to call cryored, that it did not would be an error.
  EXPECT_THROW(refine({"relion", "relion_external_reconstruct", true}), Error);
  // Without a mask maps are compared as with the padding that RELION says it used.
  const Map half1 = read_mrc(b.back().map(1));
  const int padding = cell_for({"gaussian", ""}).relion.padding;
  EXPECT_EQ(ours.score.iterations.back().halves[0].fsc, fsc_without_mask(half1, truth_.map, padding));
  EXPECT_NE(ours.score.iterations.back().halves[0].fsc, fsc_without_mask(half1, truth_.map, padding + 1));
  EXPECT_NEAR(ours.score.final_map.resolution, relion.score.final_map.resolution, 0.05);
  EXPECT_NEAR(ours.score.angle_median, relion.score.angle_median, 0.1);
  // The refinement did refine: from 30 A to clearly better than that, most particles near their true pose.
  EXPECT_LT(ours.score.final_map.resolution, 20);
  EXPECT_LT(ours.score.angle_median, 20);
  EXPECT_FALSE(ours.score.iterations[0].notes[0].lambda.value_or(0) > 0);

  // The same half-maps as training pairs: finished jobs only (RELION's own run has them, too), like the truth
  // where the reference was, cut where RELION cuts, on the truth's grey scale.
  const std::vector<FinishedRefinement> jobs = finished_refinements(top_.string());
  ASSERT_EQ(jobs.size(), 2u);
  EXPECT_EQ(jobs[0].structure_id, "4AKE");
  EXPECT_EQ(jobs[0].stars.size(), static_cast<std::size_t>(2 * kIterations));
  PairOptions options;
  options.box = data_.options.box;
  options.voxel = data_.options.pixel_size;
  const std::vector<TrainingPair> pairs = relion_pairs(jobs[0], options);
  ASSERT_EQ(pairs.size(), jobs[0].stars.size());
  for (const TrainingPair& pair : pairs) {
    const auto likeness = fsc(pair.input, pair.target);
    EXPECT_GT(likeness[2], 0.8);
    ASSERT_GT(pair.cut, 4);
    const auto power = shell_power(forward(pair.input)), truth_power = shell_power(forward(pair.target));
    for (std::size_t s = static_cast<std::size_t>(pair.cut) + 1; s < power.size(); ++s)
      EXPECT_LT(power[s], 1e-6 * power[1]);
    // Least squares: what is left of the input is orthogonal to the target over the shells coarser than 30 A.
    double cross = 0, own = 0;
    for (std::size_t s = 1; s <= 4; ++s) {
      const auto voxels = static_cast<double>(s * s);
      cross += voxels * likeness[s] * std::sqrt(power[s] * truth_power[s]);
      own += voxels * truth_power[s];
    }
    EXPECT_NEAR(cross / own, 1, 0.1);
    EXPECT_EQ(pair.half_fsc.size(), options.box / 2 + 1);
  }
  options.voxel = 2;
  EXPECT_THROW(relion_pairs(jobs[0], options), InputError);
  EXPECT_THROW(finished_refinements((top_ / "nothing").string()), InputError);
}

TEST_F(SmallRefinement, ImagesWithACtfFindTheirOrientations) {
  DataSet with_ctf = data_;
  with_ctf.options.ctf.on = true;
  with_ctf.folder = (base_ / "particles_ctf").string();
  prepare_data_set(with_ctf);
  Cell cell = cell_for({"plain", ""});
  cell.folder = (base_ / "plain_ctf").string();
  const CellResult found = run_cell(cell, with_ctf, read_truth(with_ctf.folder), {}, {});
  // Half of the orientations are random where RELION takes the start map for one seen through a CTF.
  EXPECT_LT(found.score.angle_median, 20);
}

TEST_F(SmallRefinement, RedRunsInEveryIterationAndLeavesItsRecords) {
  const CellResult red = refine(refine_mode("red", CRYORED_RECONSTRUCT, "--device cpu"));
  ASSERT_EQ(red.end, RunEnd::iteration_limit);
  ASSERT_EQ(red.score.iterations.size(), static_cast<std::size_t>(kIterations));
  for (const IterationScore& it : red.score.iterations)
    for (const ReconstructionNote& note : it.notes) {
      EXPECT_EQ(note.lambda.value_or(-1), 1) << "iteration " << it.iteration;
      EXPECT_TRUE(note.seconds) << "iteration " << it.iteration;
    }

  // Begun before cell.json named the weights: the records tell, and it is held to them from then on.
  Cell cell = cell_for(refine_mode("red", CRYORED_RECONSTRUCT, "--device cpu"));
  const std::set<std::string> used = weights_in_records(cell.folder);
  ASSERT_EQ(used.size(), 1u);
  const auto refused = [&](const CellWeights& weights, const std::string& named) {
    cell.weights = weights;
    try {
      run_cell(cell, data_, truth_, {}, {});
      ADD_FAILURE() << "the result of another network was taken over";
    } catch (const InputError& e) {
      EXPECT_NE(std::string(e.what()).find(named), std::string::npos) << e.what();
    }
  };
  refused({"another", {"another"}}, *used.begin());
  cell.weights = {"this", {*used.begin()}};
  EXPECT_EQ(run_cell(cell, data_, truth_, {}, {}).end, RunEnd::iteration_limit);
  refused({"another", {*used.begin()}}, "weights_sha256");
  // The same network with another table of confidence, which red does not read.
  cell.weights = {"this", {"another table"}};
  EXPECT_EQ(run_cell(cell, data_, truth_, {}, {}).end, RunEnd::iteration_limit);
  EXPECT_LT(red.score.final_map.resolution, 20);
}

TEST_F(SmallRefinement, TheSameMapsThroughADaemonThatARankStarts) {
  const auto maps_of = [&](const std::string& name) {
    Cell cell = cell_for(refine_mode("red", CRYORED_RECONSTRUCT, "--device cpu --threads 1"));
    cell.folder = (base_ / name).string();
    EXPECT_EQ(run_cell(cell, data_, truth_, {}, {}).end, RunEnd::iteration_limit);
    std::map<std::string, std::string> maps, records;
    const std::string map = "_external_reconstruct.mrc", record = "_cryored.json";
    for (const auto& file : fs::directory_iterator(cell.folder)) {
      const std::string path = file.path().string();
      std::ifstream stream(path, std::ios::binary);
      const std::string bytes{std::istreambuf_iterator<char>(stream), {}};
      if (path.ends_with(map)) maps[file.path().filename()] = bytes;
      if (path.ends_with(record)) records[file.path().filename()] = nlohmann::json::parse(bytes)["served_by"].dump();
    }
    EXPECT_EQ(maps.size(), 2u * kIterations);
    EXPECT_EQ(records.size(), 2u * kIterations);
    return std::pair(maps, records);
  };
  const auto [helper, without] = maps_of("helper");
  for (const auto& [name, served_by] : without) EXPECT_EQ(served_by, "null") << name;

  setenv("CRYORED_NO_DAEMON", "no", 1);
  setenv("CRYORED_RUNTIME_DIR", (top_ / "run").c_str(), 1);
  setenv("CRYORED_IDLE_TIMEOUT", "120", 1);  // it leaves, whatever becomes of this test
  const auto [daemon, with] = maps_of("daemon");
  const std::string folder = fs::path(CRYORED_RECONSTRUCT).parent_path().string();
  EXPECT_EQ(std::system((folder + "/cryored daemon --stop").c_str()), 0);
  setenv("CRYORED_NO_DAEMON", "yes", 1);
  std::set<std::string> pids;
  for (const auto& [name, served_by] : with) {
    ASSERT_NE(served_by, "null") << name;
    pids.insert(nlohmann::json::parse(served_by)["pid"].dump());
  }
  EXPECT_EQ(pids.size(), 1u) << "one daemon for all";
  EXPECT_TRUE(helper == daemon) << "bit for bit";
}

TEST_F(SmallRefinement, RawMapsFollowTheAngles) {
  const CellResult ours = refine(refine_mode("gaussian", CRYORED_RECONSTRUCT));
  const std::string folder = cell_for({"gaussian", ""}).folder;
  const auto last = finished_iterations(folder).back();
  const std::optional<Map> raw = joined_raw(folder);
  ASSERT_TRUE(raw && ours.score.raw);
  // No prior and no mask: the same signal as the regularised maps where there is one.
  const auto alike = fsc(*raw, mean_of(read_mrc(last.map(1)), read_mrc(last.map(2))));
  for (std::size_t s = 1; s <= 4; ++s) EXPECT_GT(alike[s], 0.95) << s;
  EXPECT_FALSE(joined_raw(data_.folder)) << "a folder without a refinement";
  fs::copy(folder, top_ / "thinned");
  fs::remove(top_ / "thinned" /
             (fs::path(last.root).filename().string() + "_half1_class001_external_reconstruct_weight.mrc"));
  EXPECT_FALSE(joined_raw((top_ / "thinned").string())) << "an earlier iteration's is another map";
  // The ceiling: true orientations give a better map than those found from 120 images.
  const std::string output = (top_ / "known.mrc").string();
  const MapScore known =
      score_map(reconstruct_with_angles(data_.folder + "/particles_truth.star", output, false), truth_, kAnglesPadding);
  const MapScore found = score_map(reconstruct_with_angles(last.data(), output, false), truth_, kAnglesPadding);
  EXPECT_LT(known.resolution_masked, 12);
  EXPECT_LE(known.resolution_masked, found.resolution_masked);
  EXPECT_THROW(reconstruct_with_angles((top_ / "none.star").string(), (top_ / "none.mrc").string(), false),
               SystemError);
}

TEST_F(SmallRefinement, CellsOfABenchmarkLeaveRecords) {
  BenchmarkSetup setup;
  setup.cells = (top_ / "bench").string();
  setup.results = (top_ / "results").string();
  setup.program = CRYORED_RECONSTRUCT;
  setup.version = "0";
  setup.commit = "test";
  setup.weights = [](double) { return BenchmarkWeights{{"identity", "00112233445566", ""}, "builtin:identity"}; };
  setup.structures["4AKE"] = data_.structure;
  setup.denoise = [](const Map& map, double, double) { return map; };
  // A rule that no refinement can satisfy: plain ends after its first iteration.
  const Benchmark benchmark = parse_benchmark(
      R"({"schema": "cryored-refine-benchmark", "version": 1, "stop_rule": {"hopeless_worse_than_A": 1, "from_iteration": 1},
          "particles": {"count": 60, "box": 32, "pixel_size_A": 4}, "relion": {"healpix_order": 1, "max_significant": 50},
          "groups": [{"name": "g", "structures": ["4AKE"], "snr": [0.5],
                      "modes": ["known-angles", "red", "plain", "plain+denoise", "gaussian"]}]})",
      "test");
  std::map<std::string, CellRecord> records;
  for (const char* mode : {"red", "known-angles", "plain", "plain+denoise", "gaussian"}) {
    const auto cell = std::find_if(benchmark.cells.begin(), benchmark.cells.end(),
                                   [&](const BenchmarkCell& c) { return c.mode == mode; });
    const CellStanding before = standing(*cell, setup, read_records(setup.results));
    if (std::string(mode) == "red") {
      EXPECT_EQ(before.state, CellState::waits);
      EXPECT_THROW(run_benchmark_cell(*cell, benchmark.rule, setup, {}, {}, {}), UsageError);
      continue;
    }
    EXPECT_EQ(before.state, CellState::open) << mode;
    const auto record = run_benchmark_cell(*cell, benchmark.rule, setup, {}, {}, {});
    ASSERT_TRUE(record) << mode;
    records[mode] = *record;
    EXPECT_EQ(standing(*cell, setup, {}).state, CellState::done) << mode;
  }
  EXPECT_EQ(records["plain"].end, "hopeless");
  EXPECT_EQ(records["plain"].relion_version.substr(0, 2), "3.");
  EXPECT_EQ(records["plain"].relion_sha256.size(), 64u);
  EXPECT_TRUE(records["plain"].score.angles_found);
  // The rule is read from plain: the other mode gets as many iterations.
  EXPECT_EQ(records["gaussian"].end, "iteration limit");
  EXPECT_EQ(records["gaussian"].score.iterations.back().iteration, records["plain"].score.iterations.back().iteration);
  EXPECT_TRUE(records["gaussian"].score.raw);
  EXPECT_EQ(records["gaussian"].external, "cryored-reconstruct --prior gaussian");
  // An identity for a denoiser changes nothing but the rounding of the kept map.
  EXPECT_NEAR(records["plain+denoise"].score.final_map.resolution_masked,
              records["plain"].score.final_map.resolution_masked, 0.01);
  EXPECT_LT(records["known-angles"].score.final_map.resolution_masked,
            records["plain"].score.final_map.resolution_masked);
  EXPECT_TRUE(fs::exists(records["plain"].map_path()));
  EXPECT_FALSE(fs::exists(records["known-angles"].map_path()));
  EXPECT_EQ(read_records(setup.results).size(), 4u);
}

TEST_F(SmallRefinement, AnotherDataSetInTheFolderIsRefused) {
  DataSet other = data_;
  other.options.snr = 0.3;
  EXPECT_THROW(prepare_data_set(other), InputError);
  EXPECT_EQ(data_.diameter, std::min(std::ceil(2 * read_structure(data_.structure).radius + 10), 32 * 4 - 10 * 4.0));
}

}  // namespace
}  // namespace cryored
