// cryored evaluate phase-relion with real RELION, on a stack so small that only the course of things is tested.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/cli/process.hpp"

namespace cryored_test {
namespace {

const std::string kStructure = std::string(CRYORED_TEST_BUILD) + "/share/cryored/demo/4AKE.pdb.gz";

TEST(EvaluatePhaseRelion, OneAtATimeInAFolder) {
  const ScratchFolder folder;
  std::filesystem::create_directories(folder / "out");
  const int lock = open((folder / "out/.lock").c_str(), O_RDWR | O_CREAT, 0666);
  ASSERT_EQ(flock(lock, LOCK_EX | LOCK_NB), 0);
  const Outcome second = run({std::string(CRYORED_TEST_BIN) + "/cryored", "evaluate", "phase-relion", kStructure,
                              "--out", folder / "out", "--count", "40", "--box", "32", "--pixel-size", "4", "--methods",
                              "raw", "--max-iterations", "1", "--threads", "1"});
  EXPECT_EQ(second.code, 1) << second.out;
  EXPECT_NE(second.err.find("another process works in it"), std::string::npos) << second.err;
  EXPECT_FALSE(exists(folder / "out/particles"));
  close(lock);
}

TEST(EvaluatePhaseRelion, ClassesPosesAndRawMapsOfEachStack) {
  const ScratchFolder folder;
  const std::vector<std::string> call = {std::string(CRYORED_TEST_BIN) + "/cryored",
                                         "evaluate",
                                         "phase-relion",
                                         kStructure,
                                         "--out",
                                         folder / "out",
                                         "--count",
                                         "40",
                                         "--box",
                                         "32",
                                         "--pixel-size",
                                         "4",
                                         "--methods",
                                         "raw,flip,wiener:10:100",
                                         "--classes",
                                         "2",
                                         "--class-iterations",
                                         "1",
                                         "--max-iterations",
                                         "1",
                                         "--healpix-order",
                                         "1",
                                         "--threads",
                                         "1"};
  const Outcome first = run(call);
  ASSERT_EQ(first.code, 0) << first.err;
  const auto json = nlohmann::json::parse(read_file(folder / "out/results.json"));
  ASSERT_EQ(json["variants"].size(), 3u);
  EXPECT_EQ(json["variants"][0]["relion_options"], nlohmann::json({"--ctf"}));
  EXPECT_EQ(json["variants"][1]["relion_options"], nlohmann::json({"--ctf", "--ctf_phase_flipped"}));
  EXPECT_TRUE(json["variants"][2]["relion_options"].empty());
  for (const auto& v : json["variants"]) {
    std::size_t particles = 0;
    for (const auto& c : v["classes"]) particles += c["particles"].get<std::size_t>();
    EXPECT_EQ(particles, 40u);
    EXPECT_EQ(v["end"], "iteration limit");
    // No poses are better than the true ones.
    EXPECT_GT(v["raw_map"]["fsc_0.5_masked_A"], json["known_poses"]["fsc_0.5_masked_A"]);
  }
  // The true poses and the potential belong together: sign, scale and convention.
  EXPECT_LT(json["known_poses"]["fsc_0.5_masked_A"].get<double>(), 16);
  // The poses found were put on the raw images, which keep their CTF.
  const std::string poses = read_file(folder / "out/wiener_10_100/raw_in_these_poses.star");
  EXPECT_NE(poses.find("particles.mrcs"), std::string::npos);
  EXPECT_NE(poses.find("rlnDefocusU"), std::string::npos);
  EXPECT_EQ(poses.find("phases_1.mrcs"), std::string::npos);
  EXPECT_EQ(poses.find("rlnCtfDataAreCtfCorrected"), std::string::npos);
  // Called again nothing is run again.
  const auto made = std::filesystem::last_write_time(folder / "out/flip/map/map.mrc");
  const Outcome again = run(call);
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(nlohmann::json::parse(read_file(folder / "out/results.json"))["variants"], json["variants"]);
  EXPECT_EQ(std::filesystem::last_write_time(folder / "out/flip/map/map.mrc"), made);

  // Other poses make other maps.
  const std::string made_of = read_file(folder / "out/flip/map/map.sha256"),
                    map = read_file(folder / "out/flip/map/map.mrc");
  std::vector<std::string> longer = call;
  *(std::find(longer.begin(), longer.end(), "--max-iterations") + 1) = "2";
  // A classification whose last file a full disk cut off is not finished, though its optimiser is there.
  const std::string classes = folder / "out/flip/class2d/run_it001_data.star";
  std::filesystem::resize_file(classes, std::filesystem::file_size(classes) / 2);
  const Outcome more = run(longer);
  ASSERT_EQ(more.code, 0) << more.err;
  EXPECT_NE(read_file(folder / "out/flip/map/map.sha256"), made_of);
  EXPECT_NE(read_file(folder / "out/flip/map/map.mrc"), map);
  const auto two = nlohmann::json::parse(read_file(folder / "out/results.json"));
  EXPECT_NE(two["variants"][1]["raw_map"], json["variants"][1]["raw_map"]);
  EXPECT_EQ(two["known_poses"], json["known_poses"]);

  // What RELION was asked otherwise is not taken over, nor what it is unknown how it was asked.
  const auto refuses = [&](const std::vector<std::string>& words, const std::string& field) {
    const Outcome refused = run(words);
    EXPECT_EQ(refused.code, 1);
    EXPECT_NE(refused.err.find(field), std::string::npos) << refused.err;
  };
  std::vector<std::string> finer = call;
  *(std::find(finer.begin(), finer.end(), "--healpix-order") + 1) = "2";
  refuses(finer, "refine.json");
  std::filesystem::remove(folder / "out/raw/class2d.json");
  refuses(call, "not recorded");
}

}  // namespace
}  // namespace cryored_test
