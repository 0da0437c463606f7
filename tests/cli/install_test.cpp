// cmake --install, and a run from there.

#include <filesystem>

#include "tests/cli/reconstruct_fixture.hpp"

namespace cryored_test {
namespace {

using Words = std::vector<std::string>;

class InstallTest : public ReconstructTest {
 protected:
  InstallTest() {
    for (const char* part : {"cli", "plugin"}) {
      const Outcome outcome = run(
          Words{CRYORED_TEST_CMAKE, "--install", std::string(CRYORED_TEST_BUILD) + "/" + part, "--prefix", prefix()});
      EXPECT_EQ(outcome.code, 0) << outcome.err;
    }
    files.folder = scratch / "job";
    std::filesystem::create_directory(files.folder);
    files.write();
  }
  std::string prefix() const { return scratch / "an installation"; }
};

TEST_F(InstallTest, HoldsProgramsLibraryWeightsAndLicence) {
  for (const char* name : {"bin/cryored", "bin/cryored-reconstruct", "lib/cryored/libcryored_denoise.so",
                           "lib/cryored/libcryored_train.so", "share/doc/cryored/LICENSE", "share/cryored/weights"})
    EXPECT_TRUE(exists(prefix() + "/" + name)) << name;
}

TEST_F(InstallTest, RunsWithItsOwnLibrary) {
  const Outcome outcome = run(Words{prefix() + "/bin/cryored-reconstruct", "--prior", "red", "--device", "cpu",
                                    "--weights", CRYORED_TEST_WEIGHTS, files.star()});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("denoiser ran on CPU"), std::string::npos) << outcome.out;
  const std::string record = read_file(files.record());
  EXPECT_NE(record.find(prefix() + "/bin/cryored"), std::string::npos) << record;
}

TEST_F(InstallTest, SaysSoWhenItsLibraryIsMissing) {
  const std::string library = prefix() + "/lib/cryored/libcryored_denoise.so";
  std::filesystem::remove(library);
  const Words words{prefix() + "/bin/cryored-reconstruct",
                    "--device",
                    "cpu",
                    "--weights",
                    CRYORED_TEST_WEIGHTS,
                    "--lambda",
                    "1",
                    files.star()};
  const Outcome outcome = run(words);
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.err.find(library), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("Remedy: "), std::string::npos);
  EXPECT_FALSE(exists(files.result()));
  // What needs no network works without it.
  EXPECT_EQ(run(Words{prefix() + "/bin/cryored-reconstruct", "--prior", "gaussian", files.star()}).code, 0);
}

}  // namespace
}  // namespace cryored_test
