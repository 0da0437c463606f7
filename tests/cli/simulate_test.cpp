// cryored simulate, pairs and evaluate as a user calls them.

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/cli/reconstruct_fixture.hpp"

namespace cryored_test {
namespace {

using Words = std::vector<std::string>;

const std::string kStructure = std::string(CRYORED_TEST_BUILD) + "/share/cryored/demo/4AKE.pdb.gz";

Words words(const Words& first, const Words& rest) {
  Words all = {std::string(CRYORED_TEST_BIN) + "/cryored"};
  all.insert(all.end(), first.begin(), first.end());
  all.insert(all.end(), rest.begin(), rest.end());
  return all;
}

TEST(SimulateCommand, WritesWhatItReportsAndKeepsAFinishedFolder) {
  const ScratchFolder folder("with space");
  const Words call = words({"simulate", kStructure},
                           {"--out", folder / "out", "--box", "32", "--pixel-size", "4", "--count", "20", "--snr",
                            "0.2", "--ctf", "--defocus", "9000:12000", "--noise", "coloured", "--json"});
  const Outcome first = run(call);
  ASSERT_EQ(first.code, 0) << first.err;
  const auto report = nlohmann::json::parse(first.out).at(0);
  EXPECT_NEAR(report["snr"].get<double>(), 0.2, 1e-4);
  EXPECT_TRUE(report["made"].get<bool>());
  EXPECT_EQ(report["options"]["ctf"]["defocus_A"][1], 12000);
  for (const char* file : {"particles", "poses", "truth", "start"})
    EXPECT_TRUE(exists(report[file].get<std::string>())) << file;
  EXPECT_NE(read_file(report["particles"].get<std::string>()).find("rlnDefocusU"), std::string::npos);
  EXPECT_EQ(read_file(report["particles"].get<std::string>()).find("rlnAngleRot"), std::string::npos);
  const Outcome again = run(call);
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_FALSE(nlohmann::json::parse(again.out).at(0)["made"].get<bool>());
  Words other = call;
  other[other.size() - 2] = "white";
  const Outcome refused = run(other);
  EXPECT_EQ(refused.code, 1);
  EXPECT_NE(refused.err.find("coloured_noise"), std::string::npos) << refused.err;
}

TEST(SimulateCommand, MisuseIsNamed) {
  const ScratchFolder folder;
  const struct {
    Words rest;
    const char* named;
  } cases[] = {{{}, "--out"},
               {{"--out", folder / "o", "--defocus", "1:2"}, "--ctf"},
               {{"--out", folder / "o", "--ctf", "--defocus", "12000"}, "--defocus"},
               {{"--out", folder / "o", "--ctf", "--defocus", "2e4:1e4"}, "defocus"},
               {{"--out", folder / "o", "--factor", "0.01", "--snr", "1"}, "--factor"}};
  for (const auto& one : cases) {
    const Outcome outcome = run(words({"simulate", kStructure}, one.rest));
    EXPECT_EQ(outcome.code, 2) << one.named;
    EXPECT_NE(outcome.err.find(one.named), std::string::npos) << outcome.err;
  }
  const Outcome missing = run(words({"simulate", folder / "none.pdb"}, {"--out", folder / "o"}));
  EXPECT_EQ(missing.code, 1);
  EXPECT_NE(missing.err.find("none.pdb"), std::string::npos) << missing.err;
}

TEST(PairsCommand, GaussianPairsOfAFolder) {
  const ScratchFolder folder;
  std::filesystem::create_directories(folder / "in");
  std::filesystem::copy(kStructure, folder / "in/4AKE.pdb.gz");
  const Words call = words({"pairs"}, {"--structures", folder / "in", "--kind", "gaussian", "--out", folder / "out",
                                       "--box", "32", "--voxel", "4", "--rounds", "1", "--json"});
  const Outcome first = run(call);
  ASSERT_EQ(first.code, 0) << first.err;
  EXPECT_EQ(nlohmann::json::parse(first.out)["pairs"], 2);
  EXPECT_TRUE(exists(folder / "out/gaussian000/4AKE.pairs"));
  const Outcome again = run(call);
  EXPECT_EQ(nlohmann::json::parse(again.out)["there_already"], 1);
  EXPECT_EQ(run(words({"pairs"}, {"--out", folder / "x"})).code, 2);
  EXPECT_EQ(run(words({"pairs"}, {"--out", folder / "x", "--half-maps", folder / "in"})).code, 1);
}

TEST(EvaluateCommand, HasMembers) {
  const Outcome help = run(words({"evaluate", "--help"}, {}));
  EXPECT_EQ(help.code, 0);
  EXPECT_NE(help.out.find("evaluate refine"), std::string::npos);
  EXPECT_NE(help.out.find("evaluate one-pass"), std::string::npos);
  const Outcome alone = run(words({"evaluate"}, {}));
  EXPECT_EQ(alone.code, 2);
  EXPECT_NE(alone.err.find("evaluate refine"), std::string::npos) << alone.err;
  EXPECT_EQ(run(words({"evaluate", "one-pass"}, {})).code, 2);
  EXPECT_EQ(run(words({"evaluate", "refine"}, {})).code, 2);
}

}  // namespace
}  // namespace cryored_test
