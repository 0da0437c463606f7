// Pairs with Gaussian noise, and pairs of experimental half-maps.

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "core/base/error.hpp"
#include "core/formats/mrc.hpp"
#include "core/fourier/shells.hpp"
#include "simulation/noise.hpp"
#include "tests/red/relion.hpp"
#include "tests/simulation/small_structure.hpp"
#include "training/gaussian_pairs.hpp"
#include "training/half_map_pairs.hpp"

namespace cryored {
namespace {

PairOptions options() {
  PairOptions o;
  o.box = 32;
  o.voxel = 2.5;
  o.rounds = 3;
  return o;
}

Map difference(const Map& a, const Map& b) {
  Map d = a;
  subtract(d, b);
  return d;
}

TEST(GaussianPairs, NoiseHasTheStatedSpectrumAndTheMapsTheirFsc) {
  const auto pairs = gaussian_pairs(test::small_structure(), options(), 3);
  ASSERT_EQ(pairs.size(), 6u);
  double excess = 0, shells = 0;
  for (const TrainingPair& p : pairs) {
    const auto curve = fsc(p.input, p.target);
    // Towards the truth the FSC is the root of that of two half-maps.
    for (std::size_t s = 4; s < static_cast<std::size_t>(p.cut); ++s) {
      EXPECT_NEAR(curve[s], std::sqrt(p.half_fsc[s]), 0.2) << s << ", " << p.nominal_resolution;
      excess += curve[s] * curve[s] - p.half_fsc[s];
      ++shells;
    }
    EXPECT_GT(curve[1], 0.9);
    EXPECT_NEAR(p.half_fsc[static_cast<std::size_t>(32 * 2.5 / p.nominal_resolution)], 0.143, 0.1);
    const auto power = shell_power(forward(p.input));
    for (auto s = static_cast<std::size_t>(p.cut) + 1; s < power.size(); ++s) EXPECT_LT(power[s], 1e-6 * power[1]);
  }
  EXPECT_NEAR(excess / shells, 0, 0.02);
  EXPECT_EQ(gaussian_pairs(test::small_structure(), options(), 3)[2].input.data, pairs[2].input.data);
}

TEST(GaussianPairs, SolventIsQuieter) {
  Map mask(32, 32, 32);
  for (std::size_t i = 0; i < mask.size(); ++i) mask.data[i] = i < mask.size() / 2 ? 1.f : 0.f;
  const Map noise = shaped_noise(std::vector<double>(17, 1e-3), mask, 0.5, 1);
  double inside = 0, outside = 0;
  for (std::size_t i = 0; i < noise.size(); ++i) (mask.data[i] > 0 ? inside : outside) += std::pow(noise.data[i], 2);
  EXPECT_NEAR(std::sqrt(outside / inside), 0.5, 0.02);
}

TEST(GaussianPairs, TwinHasTheErrorsSpectrumAndOtherPhases) {
  const TrainingPair pair = gaussian_pairs(test::small_structure(), options(), 5)[0];
  const TrainingPair twin = gaussian_twin(pair, 9);
  EXPECT_EQ(twin.target.data, pair.target.data);
  const Map a = difference(pair.input, pair.target), b = difference(twin.input, twin.target);
  const auto p = shell_power(forward(a)), q = shell_power(forward(b));
  const auto likeness = fsc(a, b);
  for (std::size_t s = 4; s + 2 < static_cast<std::size_t>(pair.cut); ++s) {
    EXPECT_NEAR(q[s] / p[s], 1, 0.35) << s;
    EXPECT_LT(std::abs(likeness[s]), 0.35) << s;
  }
}

TEST(HalfMapPairs, BlocksOfBothHalvesAreEachOthersTarget) {
  const TemporaryFolder folder;
  DensityOptions density;
  density.box = 64;
  density.voxel = 2;
  const Map truth = density_map(test::small_structure(), density);
  for (const int half : {1, 2}) {
    Map map = truth;
    std::mt19937_64 rng = image_generator(7, static_cast<std::uint64_t>(half));
    Map noise = map;
    noise.fill(0);
    add_white_noise(rng, noise.data.data(), noise.size());
    for (std::size_t i = 0; i < map.size(); ++i) map.data[i] += 0.02f * noise.data[i];
    write_mrc(folder / ("emd_12345_half_map_" + std::to_string(half) + ".map"), map, 2);
  }
  const auto files = half_map_files(folder.path().string());
  ASSERT_EQ(files.size(), 1u);
  EXPECT_EQ(files[0].id, "emd_12345");
  const auto pairs = half_map_pairs(files[0], options());
  ASSERT_GE(pairs.size(), 2u);
  ASSERT_EQ(pairs.size() % 2, 0u);
  EXPECT_LE(pairs.size(), 2u * 27);
  for (std::size_t i = 0; i < pairs.size(); i += 2) {
    EXPECT_EQ(pairs[i].input.data, pairs[i + 1].target.data);
    EXPECT_EQ(pairs[i].target.data, pairs[i + 1].input.data);
    EXPECT_EQ(pairs[i].input.nx, 32u);
    EXPECT_GT(fsc(pairs[i].input, pairs[i].target)[2], 0.5);
    EXPECT_GT(pairs[i].cut, 4);
    EXPECT_EQ(pairs[i].half_fsc.size(), 17u);
  }
  EXPECT_THROW(half_map_files(folder / "nothing"), InputError);
}

/// IDs and names of shards that half_map_files() gives.
using Names = std::vector<std::pair<std::string, std::string>>;
Names half_map_names(const std::filesystem::path& folder) {
  Names names;
  for (const auto& f : half_map_files(folder.string())) names.emplace_back(f.id, f.shard);
  return names;
}

TEST(HalfMapPairs, NamesDoNotDependOnWhatElseLiesThere) {
  const TemporaryFolder folder;
  const auto write = [&](const std::string& name) {
    for (const char* half : {"1", "2"}) {
      const auto path = folder.path() / (name + "_half" + half + "_class001.mrc");
      std::filesystem::create_directories(path.parent_path());
      std::ofstream(path) << "x";
    }
  };
  write("job002/run");
  const std::pair<std::string, std::string> run{"job002_run", "job002_run"};
  EXPECT_EQ(half_map_names(folder.path()), (Names{run}));
  EXPECT_EQ(half_map_names(folder.path() / "job002"), (Names{run}));
  EXPECT_EQ(half_map_names(folder.path() / "job002/"), (Names{run}));
  // Iterations of one job are of one specimen.
  for (const char* name : {"job002/run_it001", "job002/run_it002", "job002/run_ct2_it003", "job002/run_ct2"})
    write(name);
  write("job003/run");
  write("emd_1");
  write("sub/emd_2");
  EXPECT_EQ(half_map_names(folder.path()), (Names{{"emd_1", "emd_1"},
                                                  {"job002_run", "job002_run.ct2"},
                                                  {"job002_run", "job002_run.ct2_it003"},
                                                  run,
                                                  {"job002_run", "job002_run.it001"},
                                                  {"job002_run", "job002_run.it002"},
                                                  {"job003_run", "job003_run"},
                                                  {"emd_2", "emd_2"}}));
}

TEST(HalfMapPairs, FoldersTellMapsOfOneNameApart) {
  const TemporaryFolder folder;
  const auto write = [&](const std::string& name, double pixel_size) {
    const std::filesystem::path path = folder / name;
    std::filesystem::create_directories(path.parent_path());
    Map map(16, 16, 16);
    map.fill(1);
    write_mrc(path.string(), map, pixel_size);
  };
  for (const char* half : {"1", "2"})
    for (const std::string job : {"Refine3D/job001/run", "Refine3D/job002/run", "emd_7.a"})
      write(job + "_half" + half + "_class001_unfil.mrc", half[0] == '1' ? 2 : 2.1);
  std::vector<std::string> ids;
  const auto files = half_map_files(folder.path().string());
  for (const auto& f : files) ids.push_back(f.id);
  EXPECT_EQ(ids, (std::vector<std::string>{"Refine3D_job001_run", "Refine3D_job002_run", "emd_7_a"}));
  try {
    half_map_pairs(files[0], options());
    FAIL() << "two pixel sizes were taken";
  } catch (const InputError& e) {
    EXPECT_NE(std::string(e.what()).find("2.1"), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace cryored
