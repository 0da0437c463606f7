// Parity with relion_external_reconstruct of RELION 4.0.2 and 5.0.1, on files of tests/fixtures/relion_versions that
// these versions wrote. Needs no RELION.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <ostream>
#include <string>
#include <tuple>

#include "tests/gaussian/parity.hpp"

namespace cryored {
namespace {

struct File {
  const char *name, *star;
  int half, class_number, iteration;  ///< as the name tells; -1 where it tells no iteration
  double padding, pixel_size;         ///< pixel size 0: the STAR holds none
  bool fsc;                           ///< of half-maps
};
/// GoogleTest would print the bytes of the pointers.
void PrintTo(const File& file, std::ostream* out) { *out << file.star; }

const File kFiles[] = {
    {"Half1", "Refine3D/job001/run_it002_half1_class001", 1, 1, 2, 1, 2, true},
    {"Half2", "Refine3D/job001/run_it002_half2_class001", 2, 1, 2, 1, 2, true},
    {"Joined", "Refine3D/job002/run_it003_class001", 0, 1, 3, 1, 2, true},
    {"Class1", "Class3D/job003/run_it003_class001", 0, 1, 3, 2, 2, false},
    {"Class2", "Class3D/job003/run_it003_class002", 0, 2, 3, 2, 2, false},
    {"Class3", "Class3D/job003/run_it003_class003", 0, 3, 3, 2, 2, false},
    {"RelionReconstruct", "Reconstruct/job004/known", 0, -1, -1, 1, 0, true},
};

class RelionVersions : public testing::TestWithParam<std::tuple<std::string, File>> {
 protected:
  // The paths in the files are relative to RELION's project folder.
  void SetUp() override { std::filesystem::current_path(CRYORED_RELION_VERSIONS "/" + std::get<0>(GetParam())); }
  void TearDown() override { std::filesystem::current_path("/"); }
  const File& file() const { return std::get<1>(GetParam()); }
  std::string star() const { return std::string(file().star) + "_external_reconstruct.star"; }
};

TEST_P(RelionVersions, RequestIsRead) {
  const ReconstructRequest request = read_request(star());
  EXPECT_EQ(request.half, file().half);
  EXPECT_EQ(request.iteration, file().iteration);
  if (file().class_number > 0) {
    EXPECT_EQ(request.class_number, file().class_number);
  }
  EXPECT_EQ(request.box, 32);
  EXPECT_EQ(request.dimensionality, 3);
  EXPECT_EQ(request.padding, file().padding);
  EXPECT_EQ(request.pixel_size.value_or(0), file().pixel_size);
  ASSERT_EQ(request.tau2.size(), 17u);
  EXPECT_GT(request.tau2[1], 0);
  ASSERT_EQ(request.fsc.size(), 17u);
  EXPECT_EQ(std::any_of(request.fsc.begin() + 1, request.fsc.end(), [](double v) { return v != 0; }), file().fsc);
}

TEST_P(RelionVersions, MapIsTheirs) { expect_parity("RELION " + std::get<0>(GetParam()) + ", " + file().name, star()); }

INSTANTIATE_TEST_SUITE_P(Files, RelionVersions,
                         testing::Combine(testing::Values("4.0.2", "5.0.1"), testing::ValuesIn(kFiles)),
                         [](const auto& test) {
                           std::string name = std::get<1>(test.param).name + ("_" + std::get<0>(test.param));
                           std::replace(name.begin(), name.end(), '.', '_');
                           return name;
                         });

}  // namespace
}  // namespace cryored
