// Parity with relion_external_reconstruct on files that RELION's own programs write, both run here.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>

#include "tests/gaussian/parity.hpp"
#include "tests/gaussian/particles.hpp"

namespace cryored {
namespace {

#define REQUIRE_RELION(name) \
  if (!have_program(name)) GTEST_SKIP() << (name) << " is not installed (Debian package relion)"

/// All requests in the folder whose name contains `part`, in order; each must have RELION's result.
std::vector<std::string> requests(const TemporaryFolder& folder, const std::string& part) {
  std::vector<std::string> found;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    const std::string path = entry.path().string(), suffix = "_external_reconstruct.star";
    if (path.size() <= suffix.size() || path.compare(path.size() - suffix.size(), suffix.size(), suffix) != 0) continue;
    if (path.find(part) != std::string::npos) found.push_back(path);
  }
  std::sort(found.begin(), found.end());
  return found;
}

struct Known {
  const char* name;
  int box, particles;
  double padding;
  int dimensions;
  double max_resolution;  ///< A at 2 A pixels; 0 for all
  const char* tau2;
  bool skip_gridding = false;
};
/// GoogleTest would print the bytes of the pointers.
void PrintTo(const Known& known, std::ostream* out) { *out << known.name; }
class KnownAngles : public testing::TestWithParam<Known> {};

TEST_P(KnownAngles, RelionReconstruct) {
  REQUIRE_RELION("relion_reconstruct");
  const Known& c = GetParam();
  TemporaryFolder folder;
  write_particles(folder.path(), c.box, c.particles, 2);
  std::ostringstream command;
  command << "relion_reconstruct --i particles.star --o known.mrc --external_reconstruct --pad " << c.padding
          << " --refdim " << c.dimensions;
  if (c.max_resolution > 0) command << " --maxres " << c.max_resolution;
  // Its own call would crash on the missing tau2 table, so the first run only writes the files; it then
  // reports the missing result.
  run_relion(folder, "true", command.str(), true);
  std::string star = folder / "known_external_reconstruct.star";
  ASSERT_TRUE(std::filesystem::exists(star));
  const Map weight = read_mrc(folder / "known_external_reconstruct_weight.mrc");
  double mean = 0;
  for (const float k : weight.data) mean += static_cast<double>(k);
  mean /= static_cast<double>(weight.size());
  append_tau2(star, c.box, mean * std::pow(c.padding, c.dimensions), c.tau2);
  ASSERT_EQ(run_relion(folder, "",
                       std::string("relion_external_reconstruct known_external_reconstruct.star") +
                           (c.skip_gridding ? " --skip_gridding" : "")),
            0);
  // The paths in the file are relative to RELION's working directory.
  std::filesystem::current_path(folder.path());
  expect_parity(std::string("relion_reconstruct, ") + c.name, star, c.skip_gridding);
  std::filesystem::current_path("/");
}

INSTANTIATE_TEST_SUITE_P(
    Cases, KnownAngles,
    testing::Values(
        Known{"Box32", 32, 100, 1, 3, 0, "full"}, Known{"Box32Padding2", 32, 100, 2, 3, 0, "full"},
        Known{"Box32Padding1_3", 32, 100, 1.3, 3, 0, "full"},
        Known{"Box32Padding1_4OddBox", 32, 100, 1.4, 3, 0, "full"}, Known{"Box32Tau2Zero", 32, 200, 1, 3, 0, "zero"},
        Known{"Box32Padding2SmallCutTau2Zero", 32, 200, 2, 3, 7, "zero"},
        Known{"Box32Padding2SmallCutTau2Cut", 32, 200, 2, 3, 6, "cut"},
        Known{"Box32SkipGridding", 32, 100, 1, 3, 0, "full", true},
        Known{"Box32Padding2SkipGriddingCut", 32, 100, 2, 3, 6, "cut", true},
        Known{"Box32Flat", 32, 100, 1, 2, 0, "full"}, Known{"Box32FlatPadding2", 32, 100, 2, 2, 6, "zero"},
        Known{"Box48SmallCut", 48, 100, 1, 3, 8, "full"}, Known{"Box64", 64, 200, 1, 3, 0, "full"},
        Known{"Box64Padding2", 64, 200, 2, 3, 0, "full"}, Known{"Box64Padding2SmallCut", 64, 200, 2, 3, 7, "full"},
        Known{"Box100PrimeGrid", 100, 60, 1, 3, 0, "full"}, Known{"Box128Padding2", 128, 30, 2, 3, 0, "full"},
        Known{"Box256", 256, 30, 1, 3, 0, "full"}, Known{"Box256Padding2SmallCut", 256, 300, 2, 3, 12, "full"}),
    [](const auto& test) { return test.param.name; });

const char* const search =
    " --particle_diameter 60 --offset_range 1 --offset_step 1 --norm --scale --external_reconstruct --random_seed 1"
    " --oversampling 0 --maxsig 20";

TEST(Refinement, AutoRefineHalvesAndJoinedMap) {
  REQUIRE_RELION("relion_refine_mpi");
  REQUIRE_RELION("mpirun");
  for (const int padding : {1, 2}) {
    TemporaryFolder folder;
    write_particles(folder.path(), 32, 100, 2);
    // The first run is ended in its third iteration; the second one is told to converge from there, which
    // makes RELION join the halves.
    const std::string external = folder / "external.sh";
    {
      std::ofstream script(external);
      script << "#!/bin/sh\ncase \"$1\" in */first_it003_*) exit 1;; esac\nexec relion_external_reconstruct \"$1\"\n";
    }
    std::filesystem::permissions(external, std::filesystem::perms::owner_all);
    const std::string mpi = "mpirun --allow-run-as-root --oversubscribe --mca mpi_yield_when_idle 1 -n 3 ";
    run_relion(folder, external,
               mpi + "relion_refine_mpi --i particles.star --o " + (folder / "first") +
                   " --ref reference.mrc --ini_high 20 --firstiter_cc --auto_refine --split_random_halves"
                   " --low_resol_join_halves 40 --healpix_order 0 --auto_local_healpix_order 1 --pad " +
                   std::to_string(padding) + search,
               true);
    ASSERT_EQ(run_relion(folder, "relion_external_reconstruct",
                         mpi + "relion_refine_mpi --continue first_it002_optimiser.star --o " + (folder / "last") +
                             " --force_converge"),
              0);
    const auto halves = requests(folder, "first_it00");
    const auto joined = requests(folder, "last_it003_class001");
    ASSERT_GE(halves.size(), 4u);
    ASSERT_EQ(joined.size(), 1u);
    for (const auto& star : halves) {
      if (star.find("it003") != std::string::npos) continue;  // ended on purpose
      const auto request = read_request(star);
      expect_parity(
          "auto-refine, half " + std::to_string(request.half) + ", iteration " + std::to_string(request.iteration),
          star);
    }
    expect_parity("auto-refine, final joined map", joined[0]);
  }
}

TEST(Refinement, Class3D) {
  REQUIRE_RELION("relion_refine");
  for (const int padding : {1, 2}) {
    TemporaryFolder folder;
    write_particles(folder.path(), 32, 150, 2);
    ASSERT_EQ(run_relion(folder, "relion_external_reconstruct",
                         "relion_refine --i particles.star --o " + (folder / "run") +
                             " --ref reference.mrc --ini_high 20 --firstiter_cc --K 3 --iter 3 --tau2_fudge 4"
                             " --healpix_order 0 --pad " +
                             std::to_string(padding) + search),
              0);
    const auto found = requests(folder, "_it003_");
    ASSERT_GE(found.size(), 2u);
    for (const auto& star : found) {
      const auto request = read_request(star);
      EXPECT_EQ(std::count(request.fsc.begin(), request.fsc.end(), 0.0), static_cast<long>(request.fsc.size()));
      expect_parity("Class3D, T = 4, class " + std::to_string(request.class_number), star);
    }
  }
}

TEST(Refinement, Class2D) {
  REQUIRE_RELION("relion_refine");
  for (const int padding : {1, 2}) {
    TemporaryFolder folder;
    write_particles(folder.path(), 64, 150, 2);
    ASSERT_EQ(run_relion(folder, "relion_external_reconstruct",
                         "relion_refine --i particles.star --o " + (folder / "run") +
                             " --K 4 --iter 3 --tau2_fudge 2 --psi_step 20 --pad " + std::to_string(padding) + search),
              0);
    const auto found = requests(folder, "_it003_");
    ASSERT_GE(found.size(), 2u);
    for (const auto& star : found) {
      const auto request = read_request(star);
      EXPECT_EQ(request.dimensionality, 2);
      expect_parity("Class2D, class " + std::to_string(request.class_number), star);
    }
  }
}

}  // namespace
}  // namespace cryored
