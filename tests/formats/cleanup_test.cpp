// Which of RELION's files --cleanup removes, and above all which it leaves.

#include "core/reconstruct/cleanup.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <set>

#include "request_testing.hpp"

namespace cryored::testing {
namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;

const Names kParts = {"data_real", "data_imag", "weight"};

class Cleanup : public ::testing::Test {
 protected:
  TempFolder folder;

  std::string name(const std::string& map, const std::string& part) const {
    return map + "_external_reconstruct_" + part + ".mrc";
  }
  /// What RELION and cryored leave of one map: inputs, request, result, record.
  void map_files(const std::string& map) const {
    for (const auto& part : kParts) write_bytes(folder / name(map, part), "twelve bytes");
    write_bytes(folder / (map + "_external_reconstruct.star"), "request");
    write_bytes(folder / (map + "_external_reconstruct.mrc"), "result");
    write_bytes(folder / (map + "_external_reconstruct_denoised.mrc"), "beside");
    write_bytes(folder / (map + "_external_reconstruct_cryored.json"), "{}");
    write_bytes(folder / (map + ".mrc"), "map of RELION");
  }
  void end_files(const std::string& iteration, bool halves = true) const {
    for (const char* kind : {"optimiser", "sampling", "data"})
      write_bytes(folder / (iteration + "_" + kind + ".star"), "data_");
    if (!halves) write_bytes(folder / (iteration + "_model.star"), "data_");
    for (const char* half : {"half1", "half2"})
      if (halves) write_bytes(folder / (iteration + "_" + half + "_model.star"), "data_");
  }
  static std::string number(int iteration) {
    const std::string digits = std::to_string(iteration);
    return "it" + std::string(3 - digits.size(), '0') + digits;
  }
  /// Iterations first .. last of an auto-refinement, all finished.
  void refinement(const std::string& root, int first, int last) const {
    for (int i = first; i <= last; ++i) {
      for (const char* half : {"_half1_class001", "_half2_class001"}) map_files(root + "_" + number(i) + half);
      end_files(root + "_" + number(i));
    }
  }
  CleanupReport clean(const std::string& map, int box = 8) const {
    return remove_finished_inputs(
        parse_request(request_text("x", box, 1, 3), folder / (map + "_external_reconstruct.star")));
  }
  /// The inputs that are left, as the map names that have all three.
  std::set<std::string> left() const {
    std::set<std::string> maps;
    const Names names = folder.names();
    const auto there = [&](const std::string& file) { return std::count(names.begin(), names.end(), file) == 1; };
    for (const auto& file : names) {
      const auto at = file.find("_external_reconstruct_data_real.mrc");
      if (at == std::string::npos) continue;
      const std::string map = file.substr(0, at);
      EXPECT_TRUE(there(name(map, "data_imag")) && there(name(map, "weight"))) << map;
      maps.insert(map);
    }
    return maps;
  }
};

TEST_F(Cleanup, InputsOfIterationsBeforeTheLastFinishedOneGo) {
  refinement("run", 1, 4);
  map_files("run_it005_half1_class001");
  map_files("run_it005_half2_class001");
  const Names before = folder.names();
  const CleanupReport report = clean("run_it005_half1_class001");
  EXPECT_EQ(report.kept_from, 4);
  EXPECT_EQ(report.removed.size(), 3u * 2 * 3) << "iterations, halves, files";
  EXPECT_EQ(report.bytes, 18u * 12);
  EXPECT_EQ(report.notes, Names{});
  EXPECT_EQ(left(), (std::set<std::string>{"run_it004_half1_class001", "run_it004_half2_class001",
                                           "run_it005_half1_class001", "run_it005_half2_class001"}));
  // What went is exactly what is reported; maps, requests, records, STAR files stay.
  Names after = folder.names(), gone;
  std::set_difference(before.begin(), before.end(), after.begin(), after.end(), std::back_inserter(gone));
  EXPECT_EQ(gone, report.removed);
  for (const auto& file : gone)
    EXPECT_TRUE(file.find("_external_reconstruct_data_") != std::string::npos ||
                file.find("_external_reconstruct_weight.mrc") != std::string::npos)
        << file;
  EXPECT_TRUE(clean("run_it005_half2_class001").removed.empty()) << "the other half finds nothing left to do";
}

TEST_F(Cleanup, FirstIterationsKeepEverything) {
  end_files("run_it000");
  map_files("run_it001_half1_class001");
  EXPECT_EQ(clean("run_it001_half1_class001").kept_from, 0);
  end_files("run_it001");
  map_files("run_it002_half1_class001");
  EXPECT_TRUE(clean("run_it002_half1_class001").removed.empty());
  EXPECT_EQ(left().size(), 2u);
}

TEST_F(Cleanup, AnIterationWithoutAllItsFilesIsNotFinished) {
  for (const char* missing : {"optimiser", "sampling", "data", "half1_model", "half2_model"}) {
    refinement("run", 1, 3);
    fs::remove(folder / ("run_it003_" + std::string(missing) + ".star"));
    EXPECT_EQ(clean("run_it004_half1_class001").kept_from, 2) << missing;
    EXPECT_EQ(left().count("run_it002_half2_class001"), 1u) << missing;
  }
  refinement("run", 1, 3);
  write_bytes(folder / "run_it003_optimiser.star", "");  // begun, and then the disk was full
  EXPECT_EQ(clean("run_it004_half1_class001").kept_from, 2);
}

TEST_F(Cleanup, TheFinalJoinedMapKeepsTheLastIteration) {
  refinement("run", 1, 3);
  for (const char* map : {"run_it004_half1_class001", "run_it004_half2_class001", "run_it004_class001"}) map_files(map);
  EXPECT_EQ(clean("run_it004_class001").kept_from, 3);
  EXPECT_EQ(left().size(), 5u) << "two halves of iteration 3, three maps of iteration 4";
}

TEST_F(Cleanup, ClassesAndBodies) {
  for (int i = 1; i <= 3; ++i) {
    for (const char* map : {"_class001", "_class002", "_body003"}) map_files("run_" + number(i) + map);
    end_files("run_" + number(i), false);
  }
  EXPECT_EQ(clean("run_it004_class002").removed.size(), 2u * 3 * 3);
  EXPECT_EQ(left(), (std::set<std::string>{"run_it003_class001", "run_it003_class002", "run_it003_body003"}));
}

TEST_F(Cleanup, ContinuedJobAlsoClearsWhatItsBeginningLeft) {
  refinement("run", 1, 3);
  map_files("run_it004_half1_class001");  // killed here, continued from iteration 3
  refinement("run_ct3", 4, 5);
  map_files("run_ct3_it006_half1_class001");
  EXPECT_EQ(clean("run_ct3_it006_half1_class001").kept_from, 5);
  EXPECT_EQ(left(), (std::set<std::string>{"run_ct3_it005_half1_class001", "run_ct3_it005_half2_class001",
                                           "run_ct3_it006_half1_class001"}));
}

TEST_F(Cleanup, WhatLiesAfterTheCurrentIterationStays) {
  refinement("run", 1, 9);  // an earlier, longer attempt in the same folder
  EXPECT_EQ(clean("run_ct3_it004_half1_class001").kept_from, 3);
  EXPECT_EQ(left().size(), 2u * 7);
}

TEST_F(Cleanup, FilesOfOthersStay) {
  refinement("run", 1, 5);
  const Names others = {"run2_it001_half1_class001_external_reconstruct_weight.mrc",
                        "runs_run_it001_half1_class001_external_reconstruct_weight.mrc",
                        "run_ctx_it001_half1_class001_external_reconstruct_weight.mrc",
                        "run_it01_half1_class001_external_reconstruct_weight.mrc",
                        "run_it001_half3_class001_external_reconstruct_weight.mrc",
                        "run_it001_half1_class001_external_reconstruct_weight.mrc.bak",
                        "run_it001_half1_class001_external_reconstruct_weight_old.mrc",
                        "run_it001_half1_class001_external_reconstruct_weight.mrc\n",
                        "old_run_it001_half1_class001_external_reconstruct_weight.mrc",
                        "run_it001_half1_class001_weight.mrc",
                        "RUN_it001_half1_class001_external_reconstruct_weight.mrc"};
  for (const auto& name : others) write_bytes(folder / name, "mine");
  fs::create_directory(folder / "sub");
  write_bytes(folder / "sub/run_it001_half1_class001_external_reconstruct_weight.mrc", "mine");
  EXPECT_EQ(clean("run_it006_half1_class001").kept_from, 5);
  for (const auto& name : others) EXPECT_TRUE(fs::exists(folder / name)) << name;
  EXPECT_TRUE(fs::exists(folder / "sub/run_it001_half1_class001_external_reconstruct_weight.mrc"));
  EXPECT_EQ(left().size(), 2u);
}

TEST_F(Cleanup, SymbolicLinksAreNeitherFollowedNorRemoved) {
  refinement("run", 1, 3);
  const TempFolder elsewhere;
  write_bytes(elsewhere / "precious.mrc", "precious");
  const std::string link = name("run_it001_half1_class001", "weight");
  fs::remove(folder / link);
  fs::create_symlink(elsewhere / "precious.mrc", folder / link);
  const std::string odd = name("run_it001_half2_class001", "weight");
  fs::remove(folder / odd);
  fs::create_directory(folder / odd);
  const CleanupReport report = clean("run_it004_half1_class001");
  EXPECT_EQ(report.notes, (Names{link + ": a symbolic link", odd + ": not a regular file"}));
  EXPECT_EQ(report.removed.size(), 2u * 2 * 3 - 2);
  EXPECT_EQ(read_bytes(elsewhere / "precious.mrc"), "precious");
  EXPECT_TRUE(fs::is_symlink(folder / link));
  EXPECT_TRUE(fs::is_directory(folder / odd));
}

TEST_F(Cleanup, AJobFolderThatIsALinkIsLeftAlone) {
  refinement("run", 1, 3);
  const TempFolder elsewhere;
  fs::create_symlink(folder.path(), elsewhere / "job");
  const CleanupReport report = remove_finished_inputs(
      parse_request(request_text("x", 8, 1, 3), elsewhere / "job/run_it004_half1_class001_external_reconstruct.star"));
  EXPECT_EQ(report.notes, (Names{elsewhere / "job" + ": a symbolic link"}));
  EXPECT_EQ(left().size(), 2u * 3);
}

TEST_F(Cleanup, LinkedStarFilesDoNotMakeAnIterationFinished) {
  refinement("run", 1, 3);
  fs::rename(folder / "run_it003_optimiser.star", folder / "away.star");
  fs::create_symlink("away.star", folder / "run_it003_optimiser.star");
  EXPECT_EQ(clean("run_it004_half1_class001").kept_from, 2);
}

TEST_F(Cleanup, ANameThatIsNotRelionsRemovesNothing) {
  refinement("run", 1, 3);
  const CleanupReport report = clean("run_half1_class001");
  EXPECT_EQ(report.kept_from, -1);
  expect_parts(report.notes.at(0), {"run_half1_class001", "does not follow RELION's pattern"});
  EXPECT_EQ(left().size(), 2u * 3);
}

TEST_F(Cleanup, NamesWithSpacesAndLettersBeyondAscii) {
  refinement("größe 1 (neu)", 1, 3);
  EXPECT_EQ(clean("größe 1 (neu)_it004_half1_class001").removed.size(), 12u);
  EXPECT_EQ(left().size(), 2u);
}

TEST_F(Cleanup, AMissingFolderIsANoteNotAnError) {
  const CleanupReport report = remove_finished_inputs(
      parse_request(request_text("x", 8, 1, 3), folder / "gone/run_it004_half1_class001_external_reconstruct.star"));
  expect_parts(report.notes.at(0), {folder / "gone", "No such file"});
}

}  // namespace
}  // namespace cryored::testing
