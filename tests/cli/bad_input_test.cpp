// Everything that can be wrong with RELION's files, the disk and the installation: exit 1 (2 for
// misuse), one message with file, field, value and remedy, and nothing left under a final name.

#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "tests/cli/reconstruct_fixture.hpp"

namespace cryored_test {
namespace {

class BadInputTest : public ReconstructTest {
 protected:
  BadInputTest() { files.write(); }
  Invocation gaussian() const { return call({"--prior", "gaussian"}); }
  /// Rewrites the STAR with one value replaced.
  void set(const std::string& label, const std::string& value) {
    files.general[label] = value;
    write_file(files.star(), files.star_text());
  }
  // A voxel well inside the cut: (2, 1, 1).
  long inside() const { return (static_cast<long>(files.padded()) + 1) * (files.padded() / 2 + 1) + 2; }
};

TEST_F(BadInputTest, TheFixtureItselfIsGood) {
  const Outcome outcome = run(gaussian());
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(exists(files.result()));
  EXPECT_TRUE(exists(files.record()));
}

TEST_F(BadInputTest, MissingStar) {
  std::filesystem::remove(files.star());
  expect_failure(gaussian(), {files.star(), "Remedy: "});
}

TEST_F(BadInputTest, StarIsAFolder) {
  std::filesystem::remove(files.star());
  std::filesystem::create_directory(files.star());
  expect_failure(gaussian(), {files.star(), "Remedy: "});
}

TEST_F(BadInputTest, EmptyStar) {
  write_file(files.star(), "");
  expect_failure(gaussian(), {files.star(), "empty", "Remedy: "});
  write_file(files.star(), "# version 30001\n\ndata_particles\n\n_rlnBox 1\n");
  expect_failure(gaussian(), {files.star(), "external_reconstruct_general", "particles", "Remedy: "});
}

TEST_F(BadInputTest, MalformedStar) {
  write_file(files.star(), "data_external_reconstruct_general\n\nloop_\n_rlnExtReconsDataReal\n_rlnBox\nonly_one\n");
  expect_failure(gaussian(), {files.star(), "Remedy: "});
  write_file(files.star(), std::string("\x00\x01\xff\xfe PNG", 8));
  expect_failure(gaussian(), {files.star(), "Remedy: "});
}

TEST_F(BadInputTest, ResultThatIsAnInput) {
  const std::string weight = files.file("_weight.mrc");
  const std::string before = read_file(weight);
  files.general["rlnExtReconsResult"] = weight;
  write_file(files.star(), files.star_text());
  expect_failure(gaussian(), {weight, "the input", "Remedy: "}, 2);
  EXPECT_EQ(read_file(weight), before);
}

TEST_F(BadInputTest, MissingTau2Block) {
  files.with_tau2 = false;
  write_file(files.star(), files.star_text());
  expect_failure(gaussian(), {files.star(), "external_reconstruct_tau2", "Remedy: "});
}

TEST_F(BadInputTest, MissingLabels) {
  for (const char* label : {"rlnExtReconsDataReal", "rlnExtReconsDataImag", "rlnExtReconsWeight", "rlnExtReconsResult",
                            "rlnTau2FudgeFactor", "rlnPaddingFactor", "rlnReferenceDimensionality",
                            "rlnOriginalImageSize", "rlnCurrentImageSize"}) {
    files.general.clear();
    set(label, "");
    expect_failure(gaussian(), {files.star(), label, "Remedy: "});
  }
}

TEST_F(BadInputTest, ValuesThatAreNoNumbersOrOutOfRange) {
  const std::pair<const char*, const char*> bad[] = {{"rlnTau2FudgeFactor", "nan"},
                                                     {"rlnTau2FudgeFactor", "-1"},
                                                     {"rlnPaddingFactor", "0"},
                                                     {"rlnPaddingFactor", "two"},
                                                     {"rlnOriginalImageSize", "-32"},
                                                     {"rlnOriginalImageSize", "1e99"},
                                                     {"rlnCurrentImageSize", "-4"},
                                                     {"rlnReferenceDimensionality", "4"},
                                                     {"rlnReferenceDimensionality", "x"},
                                                     {"rlnOriginalImageSize", "64"},
                                                     {"rlnPixelSize", "nan"}};
  for (const auto& [label, value] : bad) {
    files.general.clear();
    set(label, value);
    expect_failure(gaussian(), {label == std::string("rlnOriginalImageSize") && value == std::string("64") ? "" : label,
                                files.folder, "Remedy: "});
  }
}

TEST_F(BadInputTest, OddBox) {
  set("rlnOriginalImageSize", "33");
  expect_failure(gaussian(), {files.star(), "rlnOriginalImageSize", "33", "Remedy: "});
}

TEST_F(BadInputTest, UnknownDimensionality) {
  set("rlnReferenceDimensionality", "1");
  expect_failure(gaussian(), {files.star(), "rlnReferenceDimensionality", "found 1", "Remedy: "});
}

TEST_F(BadInputTest, MissingArrays) {
  for (const char* ending : {"_data_real.mrc", "_data_imag.mrc", "_weight.mrc"}) {
    files.write();
    std::filesystem::remove(files.file(ending));
    expect_failure(gaussian(), {files.file(ending), "Remedy: "});
  }
}

TEST_F(BadInputTest, TruncatedArrays) {
  for (const char* ending : {"_data_real.mrc", "_data_imag.mrc", "_weight.mrc"})
    for (const long kept : {0L, 500L, 1024L, 5000L}) {
      files.write();
      ASSERT_EQ(truncate(files.file(ending).c_str(), kept), 0);
      expect_failure(gaussian(), {files.file(ending), "Remedy: "});
    }
}

TEST_F(BadInputTest, WrongDimensions) {
  const std::vector<float> data(static_cast<std::size_t>(9) * 16 * 16, 1.f);
  write_mrc_file(files.file("_weight.mrc"), 9, 16, 16, data, 1);
  expect_failure(gaussian(), {files.file("_weight.mrc"), "9 x 16 x 16", "17 x 32 x 32", "Remedy: "});
}

TEST_F(BadInputTest, HeaderThatIsNoMrc) {
  patch_header(files.file("_data_real.mrc"), 3, 77);  // mode
  expect_failure(gaussian(), {files.file("_data_real.mrc"), "mode", "77", "Remedy: "});
  files.write();
  patch_header(files.file("_data_real.mrc"), 0, -5);
  expect_failure(gaussian(), {files.file("_data_real.mrc"), "Remedy: "});
}

TEST_F(BadInputTest, NotFinite) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
  for (const char* ending : {"_data_real.mrc", "_data_imag.mrc", "_weight.mrc"})
    for (const float value : {nan, infinity, -infinity}) {
      files.write();
      patch_float(files.file(ending), inside(), value);
      expect_failure(gaussian(), {files.file(ending), std::isnan(value) ? "nan" : "inf", "Remedy: "});
    }
}

TEST_F(BadInputTest, NegativeWeight) {
  patch_float(files.file("_weight.mrc"), inside(), -0.5f);
  expect_failure(gaussian(), {files.file("_weight.mrc"), "-0.5", "Remedy: "});
}

TEST_F(BadInputTest, AllZeroWeight) {
  const std::vector<float> zeros(static_cast<std::size_t>(17) * 32 * 32, 0.f);
  write_mrc_file(files.file("_weight.mrc"), 17, 32, 32, zeros, 1);
  expect_failure(gaussian(), {files.file("_weight.mrc"), "zero", "Remedy: "});
}

TEST_F(BadInputTest, ResultFolderMissing) {
  set("rlnExtReconsResult", files.folder + "/no/such/folder/result.mrc");
  expect_failure(gaussian(), {"/no/such/folder/result.mrc", "Remedy: "});
}

TEST_F(BadInputTest, ResultFolderWhereNobodyMayWrite) {
  set("rlnExtReconsResult", "/proc/result.mrc");
  expect_failure(gaussian(), {"/proc/result.mrc", "Remedy: "});
}

TEST_F(BadInputTest, ResultFolderWithoutPermission) {
  // For root every folder is writable, unless it gives up that right.
  std::filesystem::create_directory(files.folder + "/closed");
  chmod((files.folder + "/closed").c_str(), 0555);
  set("rlnExtReconsResult", files.folder + "/closed/result.mrc");
  Invocation invocation = gaussian();
  invocation.obey_permissions = true;
  expect_failure(invocation, {files.folder + "/closed/result.mrc", "Permission denied", "Remedy: "});
  EXPECT_TRUE(std::filesystem::is_empty(files.folder + "/closed"));
}

TEST_F(BadInputTest, ResultIsAFolder) {
  std::filesystem::create_directory(files.folder + "/result.mrc");
  set("rlnExtReconsResult", files.folder + "/result.mrc");
  expect_failure(gaussian(), {files.folder + "/result.mrc", "Remedy: "});
}

TEST_F(BadInputTest, FileSizeLimit) {
  Invocation invocation = gaussian();
  invocation.file_size_limit = 20000;
  expect_failure(invocation, {files.result(), "File too large", "Remedy: "});
}

TEST_F(BadInputTest, FullDisk) {
  const std::string disk = files.folder + "/disk";
  std::filesystem::create_directory(disk);
  if (mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=64k,mode=0777") != 0)
    GTEST_SKIP() << "mounting a small disk needs root; the limit of FileSizeLimit takes the same path";
  set("rlnExtReconsResult", disk + "/result.mrc");
  expect_failure(gaussian(), {disk + "/result.mrc", "No space left on device", "Remedy: "});
  EXPECT_TRUE(std::filesystem::is_empty(disk)) << "a temporary file was left on the full disk";
  umount(disk.c_str());
}

TEST_F(BadInputTest, OldResultSurvivesAFailure) {
  ASSERT_EQ(run(gaussian()).code, 0);
  const std::string before = read_file(files.result()), record = read_file(files.record());
  patch_float(files.file("_weight.mrc"), inside(), -1.f);
  EXPECT_EQ(run(gaussian()).code, 1);
  EXPECT_EQ(read_file(files.result()), before);
  EXPECT_EQ(read_file(files.record()), record);
}

TEST_F(BadInputTest, Misuse) {
  Invocation none = gaussian();
  none.words = {plugin()};
  expect_failure(none, {"arguments", "STAR", "Remedy: "}, 2);
  expect_failure(call({"--prior", "bayes"}), {"--prior", "bayes", "auto, gaussian, red, cw-red, per-shell", "Remedy: "},
                 2);
  expect_failure(call({"--lambda", "2"}), {"--lambda", "found 2", "0 to 1", "Remedy: "}, 2);
  expect_failure(call({"--lamda", "0.2"}), {"--lamda", "did you mean --lambda?"}, 2);
  Invocation variable = gaussian();
  variable.environment["CRYORED_THREADS"] = "many";
  expect_failure(variable, {"environment variable CRYORED_THREADS", "many", "Remedy: "}, 2);
}

TEST_F(BadInputTest, OneFileInTwoRoles) {
  const ScratchFolder folder;
  const std::string bin = CRYORED_TEST_BIN, both = folder / "new.crw";
  Invocation calibrate;
  calibrate.words = {bin + "/cryored-calibrate",
                     "--weights",
                     CRYORED_TEST_WEIGHTS,
                     "--samples",
                     both,
                     "--out",
                     folder / "../" + std::filesystem::path(folder.path()).filename().string() + "/new.crw",
                     folder / "nowhere"};
  const Outcome refused = cryored_test::run(calibrate);
  EXPECT_EQ(refused.code, 2) << refused.err;
  EXPECT_NE(refused.err.find("--samples and --out: found " + both), std::string::npos) << refused.err;
  Invocation phase;
  const std::string structure = std::string(CRYORED_TEST_BUILD) + "/share/cryored/demo/4AKE.pdb.gz";
  phase.words = {bin + "/cryored", "evaluate", "phase", structure, "--other", structure, "--out", folder / "out"};
  expect_failure(phase, {"--other", structure, "another molecule", "Remedy: "}, 2);
}

TEST_F(BadInputTest, PixelSizeMissing) {
  files.pixel_size = 0;
  files.write();
  expect_failure(call({"--prior", "red", "--device", "cpu"}), {"pixel size", "--pixel-size", "Remedy: "});
}

TEST_F(BadInputTest, WeightsMissing) {
  const std::string path = files.folder + "/none.crw";
  expect_failure(call({"--prior", "red", "--device", "cpu", "--weights", path}), {path, "Remedy: "});
}

TEST_F(BadInputTest, WeightsCorrupt) {
  const std::string path = files.folder + "/broken.crw";
  write_file(path, "CRWEIGHT and then nothing that makes sense, but long enough to hold a header of 32 bytes");
  expect_failure(call({"--prior", "red", "--device", "cpu", "--weights", path}), {path, "Remedy: "});
  write_file(path, "");
  expect_failure(call({"--prior", "red", "--device", "cpu", "--weights", path}), {path, "Remedy: "});
}

TEST_F(BadInputTest, GpuAskedForAndAbsent) {
  Invocation invocation = call({"--prior", "red", "--device", "cuda:99", "--weights", CRYORED_TEST_WEIGHTS});
  expect_failure(invocation, {"GPU", "Remedy: "});
}

}  // namespace
}  // namespace cryored_test
