#include "training/relion_pairs.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "core/base/temporary_folder.hpp"
#include "core/formats/mrc.hpp"
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

}  // namespace
}  // namespace cryored
