#include "training/relion_pairs.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "core/base/error.hpp"
#include "core/base/temporary_folder.hpp"
#include "core/formats/mrc.hpp"
#include "core/fourier/shells.hpp"
#include "core/reconstruct/red.hpp"
#include "tests/cli/request_files.hpp"

namespace cryored {
namespace {
namespace fs = std::filesystem;

/// A refinement as cryored evaluate leaves it: box 32 at 3 A, `iterations` of one half.
void write_refinement(const fs::path& data_set, const std::string& mode, int iterations) {
  fs::create_directories(data_set / "particles");
  fs::create_directories(data_set / mode);
  Map truth(32, 32, 32);
  for (std::size_t z = 0; z < 32; ++z)
    for (std::size_t y = 0; y < 32; ++y)
      for (std::size_t x = 0; x < 32; ++x) {
        const double r = std::hypot(double(x) - 16, double(y) - 16, double(z) - 16);
        truth(x, y, z) = static_cast<float>(std::exp(-r * r / 18));
      }
  write_mrc((data_set / "particles/truth.mrc").string(), truth, 3);
  for (int i = 1; i <= iterations; ++i) {
    cryored_test::RequestFiles files;
    files.folder = (data_set / mode).string();
    files.stem = "run_it00" + std::to_string(i) + "_half1_class001";
    files.write();
    write_mrc(files.result(), truth, 3);
  }
}

TEST(FinishedRefinements, AnIdMayHoldUnderscores) {
  const TemporaryFolder folder;
  for (const char* name : {"AF-P00019-F1-model_v4_box32_n60_snr0.5_4A", "1A2K_box32_n60_snr0.1", "4AKE_by_hand"})
    write_refinement(folder.path() / name, "gaussian", 1);
  std::vector<std::string> ids;
  for (const auto& job : finished_refinements(folder.path().string())) ids.push_back(job.structure_id);
  EXPECT_EQ(ids, (std::vector<std::string>{"1A2K", "4AKE", "AF-P00019-F1-model_v4"}));
}

/// At padding 1 the corners of B/K are up to forty times stronger, which the denoiser never sees.
TEST(RelionPairs, HoldTheMapThatTheDenoiserSees) {
  const TemporaryFolder folder;
  write_refinement(folder.path() / "1A2K_box32_n60_snr0.1", "gaussian", 1);
  const auto jobs = finished_refinements(folder.path().string());
  PairOptions options;
  options.box = 32;
  options.voxel = 3;
  const auto pairs = relion_pairs(jobs.at(0), options);
  ASSERT_EQ(pairs.size(), 1u);
  const ReconstructRequest request = read_request_beside(jobs[0].stars.at(0));
  const Map made = unregularised_map(request, open_arrays(request)),
            seen = low_pass(as_seen(request, made), pairs[0].cut);
  const auto distance = [&](const Map& map) {
    double sum = 0, power = 0;
    for (std::size_t i = 0; i < map.size(); ++i) {
      sum += std::pow(map.data[i] - pairs[0].input.data[i], 2);
      power += std::pow(map.data[i], 2);
    }
    return std::sqrt(sum / power);
  };
  EXPECT_LT(distance(seen), 1e-5);
  EXPECT_GT(distance(low_pass(made, pairs[0].cut)), 1e-3) << "a difference to be seen";
}

TEST(FinishedRefinements, IterationsWithoutArraysAreLeftOut) {
  const TemporaryFolder folder;
  const fs::path data_set = folder.path() / "1A2K_box32_n60_snr0.1";
  write_refinement(data_set, "cleaned", 2);
  write_refinement(data_set, "gaussian", 3);
  write_refinement(data_set, "running", 0);
  const auto remove = [&](const std::string& mode, int iteration, const std::string& array) {
    const std::string stem = "run_it00" + std::to_string(iteration) + "_half1_class001_external_reconstruct_";
    ASSERT_TRUE(fs::remove(data_set / mode / (stem + array + ".mrc")));
  };
  for (const int iteration : {1, 2}) remove("cleaned", iteration, "weight");
  remove("gaussian", 1, "data_imag");
  const auto jobs = finished_refinements(folder.path().string());
  ASSERT_EQ(jobs.size(), 2u);
  EXPECT_EQ(jobs[0].stars.size(), 0u);
  EXPECT_EQ(jobs[0].without_arrays, 2u);
  ASSERT_EQ(jobs[1].stars.size(), 2u);
  EXPECT_NE(jobs[1].stars[0].find("it002"), std::string::npos);
  EXPECT_EQ(jobs[1].without_arrays, 1u);
  PairOptions options;
  options.box = 32;
  options.voxel = 3;
  EXPECT_EQ(relion_pairs(jobs[0], options).size(), 0u);
  EXPECT_EQ(relion_pairs(jobs[1], options).size(), 2u);

  fs::remove_all(data_set / "gaussian");
  try {
    finished_refinements(folder.path().string());
    FAIL() << "nothing to make pairs of";
  } catch (const InputError& e) {
    EXPECT_NE(std::string(e.what()).find("none that has its arrays"), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace cryored
