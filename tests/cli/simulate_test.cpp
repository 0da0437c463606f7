// cryored simulate, pairs and evaluate as a user calls them.

#include <algorithm>
#include <array>
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

/// A file of another molecule: half of the dimer, chain A alone.
std::string other_molecule(const std::string& path) {
  const Outcome made =
      run({"/bin/sh", "-c", "gzip -dc \"$0\" | grep '^ATOM.................A' > \"$1\"", kStructure, path});
  EXPECT_EQ(made.code, 0) << made.err;
  return path;
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
  const std::string stack =
      std::filesystem::path(report["particles"].get<std::string>()).parent_path() / "particles.mrcs";
  const std::string images = read_file(stack);
  std::filesystem::remove(stack);
  EXPECT_TRUE(nlohmann::json::parse(run(call).out).at(0)["made"].get<bool>());
  EXPECT_EQ(read_file(stack), images);
  Words other = call;
  other[other.size() - 2] = "white";
  const Outcome refused = run(other);
  EXPECT_EQ(refused.code, 1);
  EXPECT_NE(refused.err.find("coloured_noise"), std::string::npos) << refused.err;
}

TEST(SimulateCommand, FilesThatItDidNotMakeStay) {
  const ScratchFolder folder;
  std::filesystem::create_directories(folder / "out/4AKE");
  write_file(folder / "out/4AKE/particles.mrcs", "mine");
  const Words call = words({"simulate", kStructure}, {"--out", folder / "out", "--box", "32", "--pixel-size", "4",
                                                      "--count", "20", "--snr", "0.2"});
  const Outcome outcome = run(call);
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.err.find("particles.mrcs"), std::string::npos) << outcome.err;
  EXPECT_EQ(read_file(folder / "out/4AKE/particles.mrcs"), "mine");
  std::filesystem::remove(folder / "out/4AKE/particles.mrcs");
  EXPECT_EQ(run(call).code, 0);
}

TEST(SimulateCommand, AtomsLeftOutForTheirOccupancyAreCounted) {
  const ScratchFolder folder;
  const std::string atom = "ATOM      1  CA  GLY A   1       0.000   0.000   0.000  ";
  write_file(folder / "two.pdb", atom + "1.00 20.00           C\n" + atom + "0.00 20.00           C\n");
  Words call = words({"simulate", folder / "two.pdb"}, {"--out", folder / "o", "--box", "32", "--count", "10"});
  const Outcome text = run(call);
  EXPECT_NE(text.out.find("1 atom of occupancy 0 left out"), std::string::npos) << text.out << text.err;
  call.push_back("--json");
  EXPECT_EQ(nlohmann::json::parse(run(call).out)[0]["atoms_of_occupancy_0"], 1);
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

TEST(SimulateCommand, OddBoxesAreRefusedByAllThatTakeOne) {
  const ScratchFolder folder;
  const Words in = {"--structures", folder.path()}, out = {"--out", folder / "o"};
  for (const Words& call :
       {words({"simulate", kStructure}, out), words({"evaluate", "refine", kStructure}, out),
        words({"evaluate", "phase", kStructure}, out), words({"evaluate", "phase-relion", kStructure}, out),
        words({"pairs", "--out", folder / "o"}, in), words({"train", "--task", "pinn", "--run", folder / "o"}, in)}) {
    Words odd = call;
    odd.insert(odd.end(), {"--box", "47"});
    const Outcome outcome = run(odd);
    EXPECT_EQ(outcome.code, 2) << odd[1] << " " << odd[2];
    EXPECT_NE(outcome.err.find("--box: found 47"), std::string::npos) << outcome.err;
    EXPECT_FALSE(exists(folder / "o")) << odd[1];
  }
}

TEST(SimulateCommand, FoldersThatAreNotOursAreNoInternalFault) {
  const ScratchFolder folder;
  write_file(folder / "file", "");
  std::filesystem::create_directory(folder / "shut");
  std::filesystem::permissions(folder / "shut", std::filesystem::perms::owner_read);
  for (const char* out : {"file/out", "shut/out"}) {
    Invocation invocation;
    invocation.words = words({"simulate", kStructure}, {"--out", folder / out, "--box", "48", "--count", "10"});
    invocation.obey_permissions = true;
    const Outcome outcome = run(invocation);
    EXPECT_EQ(outcome.code, 1);
    EXPECT_EQ(outcome.err.find("internal fault"), std::string::npos) << outcome.err;
    for (const std::string& part : {folder / out, std::string("Remedy: ")})
      EXPECT_NE(outcome.err.find(part), std::string::npos) << outcome.err;
  }
}

TEST(SimulateCommand, TheReportOfAFolderOutsideUtf8IsWritten) {
  const ScratchFolder folder;
  const Outcome outcome = run(words({"simulate", kStructure}, {"--out", folder / "L\xe4ufe", "--box", "32",
                                                               "--pixel-size", "4", "--count", "10", "--json"}));
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(nlohmann::json::parse(outcome.out).size(), 1u);
}

TEST(SimulateCommand, OptionsOfOtherCommandsInAConfigFileChangeNothing) {
  const ScratchFolder folder;
  write_file(folder / "cryored.conf", "pixel-size = 1.3\n");
  Invocation invocation;
  invocation.words =
      words({"simulate", kStructure}, {"--out", folder / "out", "--box", "48", "--count", "10", "--json"});
  invocation.folder = folder.path();
  const Outcome outcome = run(invocation);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(nlohmann::json::parse(outcome.out)[0]["options"]["pixel_size_A"], 2.5);
}

TEST(PairsCommand, AKindThatDoesNotFitItsSourceIsNamed) {
  const ScratchFolder folder;
  const struct {
    Words rest;
    const char* remedy;
  } cases[] = {{{"--kind", "known-angles", "--half-maps", folder.path()}, "give --structures"},
               {{"--kind", "gaussian", "--half-maps", folder.path()}, "give --structures or --refinements"},
               {{"--kind", "known-angles", "--refinements", folder.path()}, "leave --kind away"},
               {{"--kind", "known-angles"}, "--structures"},
               {{"--structures", folder.path(), "--refinements", folder.path()}, "several"}};
  for (const auto& one : cases) {
    const Outcome outcome = run(words({"pairs", "--out", folder / "o"}, one.rest));
    EXPECT_EQ(outcome.code, 2) << one.remedy;
    EXPECT_NE(outcome.err.find(one.remedy), std::string::npos) << outcome.err;
    EXPECT_FALSE(exists(folder / "o"));
  }
}

TEST(PairsCommand, ShardsOfEarlierNamesAreNotLeftBesideNewOnes) {
  const ScratchFolder folder;
  for (const char* half : {"1", "2"}) {
    std::filesystem::create_directories(folder / "in/job002");
    write_file(folder / ("in/job002/run_it001_half" + std::string(half) + "_class001.mrc"), "x");
  }
  for (const char* name : {"run_it001.pairs", "job002_run_it001.pairs"}) {
    const std::string older = folder / ("out/half-maps/" + std::string(name));
    std::filesystem::create_directories(folder / "out/half-maps");
    write_file(older, "x");
    const Outcome outcome = run(words({"pairs"}, {"--half-maps", folder / "in", "--out", folder / "out"}));
    EXPECT_EQ(outcome.code, 1);
    for (const std::string& part : {older, std::string("job002_run.it001.pairs")})
      EXPECT_NE(outcome.err.find(part), std::string::npos) << outcome.err;
    std::filesystem::remove(older);
  }
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
  Words small = call;
  *(std::find(small.begin(), small.end(), "--voxel") + 1) = "0.5";
  *(std::find(small.begin(), small.end(), "--out") + 1) = folder / "none";
  const Outcome none = run(small);
  EXPECT_EQ(none.code, 1);
  EXPECT_NE(none.err.find("too large for the box"), std::string::npos) << none.err;
  // Shards of other options are not taken for these.
  for (const auto& [option, value, found] : std::initializer_list<std::array<const char*, 3>>{
           {"--box", "36", "32"}, {"--voxel", "3.9", "4 A"}, {"--rounds", "2", "2 pairs"}}) {
    Words other = call;
    *(std::find(other.begin(), other.end(), option) + 1) = value;
    const Outcome refused = run(other);
    EXPECT_EQ(refused.code, 1) << option;
    EXPECT_NE(refused.err.find(std::string(option) + ": found " + found), std::string::npos) << refused.err;
  }
  // Another structure of that name: its shard would be taken for made already.
  std::filesystem::copy(kStructure, folder / "in/4AKE.b.pdb.gz");
  const Outcome twice = run(call);
  EXPECT_EQ(twice.code, 1);
  for (const char* name : {"4AKE.pdb.gz", "4AKE.b.pdb.gz"})
    EXPECT_NE(twice.err.find(name), std::string::npos) << twice.err;
  // Nor may one structure be in two spellings, of which one could be trained on and the other validated on.
  std::filesystem::rename(folder / "in/4AKE.b.pdb.gz", folder / "in/4ake.pdb.gz");
  const Outcome spelt = run(call);
  EXPECT_EQ(spelt.code, 1);
  for (const char* name : {"4AKE.pdb.gz", "4ake.pdb.gz"})
    EXPECT_NE(spelt.err.find(name), std::string::npos) << spelt.err;
  EXPECT_EQ(run(words({"pairs"}, {"--out", folder / "x"})).code, 2);
  EXPECT_EQ(run(words({"pairs"}, {"--out", folder / "x", "--half-maps", folder / "in"})).code, 1);
}

TEST(EvaluateCommand, PairsOfTwoFoldersSideBySide) {
  const ScratchFolder folder("with space");
  std::filesystem::create_directories(folder / "in");
  std::filesystem::copy(kStructure, folder / "in/4AKE.pdb.gz");
  const Outcome made =
      run(words({"pairs"}, {"--structures", folder / "in", "--kind", "gaussian", "--out", folder / "out", "--box", "32",
                            "--voxel", "4", "--rounds", "2", "--passes", "2"}));
  ASSERT_EQ(made.code, 0) << made.err;
  const std::string reference = folder / "out/gaussian000", other = folder / "out/gaussian001/";
  const Words call =
      words({"evaluate", "pairs"}, {"--reference", reference, other, "--bins", "100", "--out", folder / "page"});
  const Outcome table = run(call);
  ASSERT_EQ(table.code, 0) << table.err;
  EXPECT_NE(table.out.find("better than 100 A"), std::string::npos) << table.out;
  EXPECT_NE(table.out.find("gaussian001"), std::string::npos) << table.out;
  for (const char* file : {"index.html", "results.json", "fsc-1.svg", "power-1.svg", "factor-1.svg"})
    EXPECT_TRUE(exists(folder / ("page/" + std::string(file)))) << file;
  Words json_call = call;
  json_call.push_back("--json");
  const auto json = nlohmann::json::parse(run(json_call).out);
  EXPECT_EQ(json, nlohmann::json::parse(read_file(folder / "page/results.json")));
  const auto& folders = json["bins"][1]["folders"];
  EXPECT_EQ(folders[0]["pairs"], 4);
  EXPECT_EQ(folders[1]["structures"], 1);
  // Gaussian noise misleads nobody: the half-maps promise no more than is there.
  EXPECT_LT(folders[1]["figures"]["overstated"]["mean"].get<double>(), 0.05);

  const struct {
    Words rest;
    int code;
    const char* named;
  } cases[] = {{{reference}, 2, "--reference"},
               {{"--reference", reference, reference}, 2, "twice"},
               {{"--reference", reference, "--bins", "7,10"}, 2, "--bins"},
               {{"--reference", reference, "--bins", "7,x"}, 2, "--bins"},
               {{"--reference", folder / "in"}, 1, "cryored pairs"},
               {{"--reference", folder / "none"}, 1, "none"}};
  for (const auto& one : cases) {
    const Outcome outcome = run(words({"evaluate", "pairs"}, one.rest));
    EXPECT_EQ(outcome.code, one.code) << one.named;
    EXPECT_NE(outcome.err.find(one.named), std::string::npos) << outcome.err;
  }
}

TEST(EvaluateCommand, PhaseScoresMethodsAndKeepsWhatItScored) {
  const ScratchFolder folder("with space");
  const std::string other = other_molecule(folder / "1ABC.pdb");
  const Words call =
      words({"evaluate", "phase", kStructure, other},
            {"--out", folder / "out", "--box", "48", "--pixel-size", "2", "--views", "2", "--exposures", "2",
             "--blanks", "2", "--doses", "30", "--methods", "raw,wiener:10:100,tv:2:0.5", "--candidate", "tv:2:0.5"});
  const Outcome first = run(call);
  ASSERT_EQ(first.code, 0) << first.err;
  EXPECT_NE(first.out.find("tv:2:0.5, single images: area 1.05 times"), std::string::npos) << first.out;
  const auto read = [&] { return nlohmann::json::parse(read_file(folder / "out/results.json")); };
  const auto json = read();
  EXPECT_EQ(json["schema"], "cryored-phase-evaluation");
  EXPECT_EQ(json["cells"].size(), 6u);
  EXPECT_EQ(json["comparisons"].size(), 8u);
  EXPECT_EQ(json["cells"][2]["particles"]["single_area"].size(), 4u);
  // A Wiener filter finds more than the raw image holds.
  EXPECT_GT(json["cells"][1]["median"]["mean_area"], json["cells"][0]["median"]["mean_area"]);
  EXPECT_EQ(json["structures"][0]["wrong_molecule"], "1ABC");
  EXPECT_TRUE(exists(folder / "out/index.html"));
  EXPECT_TRUE(exists(folder / "out/figure.png"));
  // Nothing is simulated again; one score that is lost is made again, and comes out the same.
  const Outcome again = run(call);
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(again.err, "");
  EXPECT_EQ(read()["cells"], json["cells"]);
  std::filesystem::remove(folder / "out/scores/4AKE_dose30_wiener_10_100.json");
  const Outcome repaired = run(call);
  ASSERT_EQ(repaired.code, 0) << repaired.err;
  EXPECT_NE(repaired.err.find("4AKE"), std::string::npos) << repaired.err;
  EXPECT_EQ(read()["cells"][1]["particles"]["single_frc"], json["cells"][1]["particles"]["single_frc"]);
}

TEST(EvaluateCommand, PhaseNamesWhatIsWrong) {
  const ScratchFolder folder;
  const std::string other = other_molecule(folder / "1ABC.pdb");
  const struct {
    Words rest;
    const char* named;
  } cases[] = {{{kStructure}, "--other"},
               {{kStructure, kStructure}, "twice"},
               {{kStructure, "--other", kStructure}, "whose file is the same"},
               {{kStructure, "--other", other, "--methods", "wiener"}, "--methods"},
               {{kStructure, "--other", other, "--methods", "lowpass:x"}, "lowpass:x"},
               {{kStructure, "--other", other, "--methods", "tv:1.5:1"}, "tv:1.5:1"},
               {{kStructure, "--other", other, "--methods", "flip,flip"}, "flip twice"},
               {{kStructure, "--other", other, "--methods", "flip", "--candidate", "tv:1:1"}, "--candidate"},
               {{kStructure, "--other", other, "--doses", "20,x"}, "--doses"},
               {{kStructure, "--other", other, "--doses", "20,20"}, "each once"},
               {{kStructure, "--other", other, "--box", "33"}, "--box"},
               {{kStructure, "--other", other, "--methods", "pinnacle"}, "pinnacle"},
               {{kStructure, "--other", other, "--defocus", "2e4:1e4"}, "--defocus"}};
  for (const auto& one : cases) {
    Words all = {"--out", folder / "o"};
    all.insert(all.begin(), one.rest.begin(), one.rest.end());
    const Outcome outcome = run(words({"evaluate", "phase"}, all));
    EXPECT_EQ(outcome.code, 2) << one.named << ": " << outcome.err;
    EXPECT_NE(outcome.err.find(one.named), std::string::npos) << outcome.err;
  }
  const Outcome missing = run(words({"evaluate", "--task", "phase", folder / "none.pdb"}, {"--other", other}));
  EXPECT_EQ(missing.code, 1);
  EXPECT_NE(missing.err.find("none.pdb"), std::string::npos) << missing.err;
}

TEST(EvaluateCommand, PhaseRelionNamesWhatIsWrong) {
  const ScratchFolder folder;
  const struct {
    Words rest;
    const char* named;
  } cases[] = {{{}, "phase-relion"},
               {{kStructure, "--box", "65"}, "--box"},
               {{kStructure, "--box", "24"}, "diameter"},
               {{kStructure, "--defocus", "2e4:1e4"}, "--defocus"},
               {{kStructure, "--methods", "flip:3"}, "flip:3"},
               {{kStructure, "--ranks", "2"}, "--ranks"}};
  for (const auto& one : cases) {
    Words all = {"--out", folder / "o"};
    all.insert(all.begin(), one.rest.begin(), one.rest.end());
    const Outcome outcome = run(words({"evaluate", "phase-relion"}, all));
    EXPECT_EQ(outcome.code, 2) << one.named << ": " << outcome.err;
    EXPECT_NE(outcome.err.find(one.named), std::string::npos) << outcome.err;
    EXPECT_FALSE(exists(folder / "o")) << one.named;
  }
  const Outcome missing = run(
      words({"evaluate", "phase", kStructure}, {"--other", other_molecule(folder / "1ABC.pdb"), "--out", folder / "o",
                                                "--methods", "pinn", "--weights", folder / "none.crw"}));
  EXPECT_EQ(missing.code, 1);
  EXPECT_NE(missing.err.find("none.crw"), std::string::npos) << missing.err;
}

TEST(EvaluateCommand, BenchmarkListsAndReportsFromStoredRecords) {
  const ScratchFolder folder;
  write_file(folder / "b.json", R"({"schema": "cryored-refine-benchmark", "version": 1, "stop_rule": {},
      "groups": [{"name": "g", "structures": ["4AKE"], "snr": [0.1], "modes": ["known-angles", "plain", "default", "red-own"]}]})");
  const Words common = {"--benchmark", folder / "b.json", "--out", folder / "o", "--weights", "builtin:identity"};
  const auto call = [&](Words more) {
    more.insert(more.begin(), common.begin(), common.end());
    return run(words({"evaluate", "benchmark"}, more));
  };
  const Outcome list = call({"--list"});
  ASSERT_EQ(list.code, 0) << list.err;
  EXPECT_NE(list.out.find("4AKE_box48_n2000_snr0.1/plain"), std::string::npos) << list.out;
  EXPECT_NE(list.out.find("needs its structure"), std::string::npos) << list.out;
  EXPECT_NE(list.out.find("/cw-red "), std::string::npos) << "default by its name\n" << list.out;
  EXPECT_NE(list.out.find("needs weights"), std::string::npos) << list.out;
  EXPECT_EQ(call({"--list", "--cells", "nothing*"}).code, 2);
  EXPECT_EQ(call({"--weights-mode", "red=x"}).code, 2);
  const Outcome none = call({"--report"});
  EXPECT_EQ(none.code, 1);
  EXPECT_NE(none.err.find("no record"), std::string::npos) << none.err;

  write_file(folder / "bad.json",
             R"({"schema": "cryored-refine-benchmark", "version": 1, "stop_rule": {"hopeles": 1}})");
  const Outcome bad = run(words({"evaluate", "benchmark"}, {"--benchmark", folder / "bad.json", "--list"}));
  EXPECT_EQ(bad.code, 1);
  EXPECT_NE(bad.err.find("stop_rule.hopeles"), std::string::npos) << bad.err;

  // One record is enough for tables and a page.
  std::string curve = "[1";
  for (int s = 1; s <= 24; ++s) curve += s < 12 ? ",1" : ",0";
  curve += "]";
  const std::string map_score =
      R"({"fsc_0.5_A":10.4,"fsc_0.5_masked_A":10.4,"fsc":)" + curve + R"(,"fsc_masked":)" + curve + "}";
  std::filesystem::create_directories(folder / "o/results/4AKE_box48_n2000_snr0.1");
  write_file(
      folder / "o/results/4AKE_box48_n2000_snr0.1/plain.json",
      R"({"schema":"cryored-benchmark-cell","version":1,"data_set":"4AKE_box48_n2000_snr0.1","structure":"4AKE","mode":"plain",
                 "group":"g","large":false,"particles":{"box":48,"pixel_size_A":2.5,"count":2000,"snr":0.1,"seed":1},"image_snr":0.1,
                 "weights":null,"program":{"version":"0","commit":"c"},"relion":{"version":"3.1.3","relion_refine_mpi_sha256":""},
                 "command":[],"external_reconstruct":"","end":"converged","seconds":60,"cpu_seconds":60,"map_scale":0,
                 "score":{"schema":"cryored-refine-score","version":2,"box":48,"pixel_size_A":2.5,"final":{"kind":"k","to_truth":)" +
          map_score + R"(,"half_map_fsc_0.143_A":10.1,"half_map_fsc":)" + curve +
          R"(,"angular_error":{"median_deg":5,"percentile_90_deg":9,"share_within_10_deg":0.9}},"iterations":[]}})");
  const Outcome report = call({"--report"});
  ASSERT_EQ(report.code, 0) << report.err;
  EXPECT_NE(report.out.find("4AKE, SNR 0.1"), std::string::npos) << report.out;
  EXPECT_NE(read_file(folder / "o/results/README.md").find("| 4AKE, SNR 0.1 | 10.4 |"), std::string::npos);
  EXPECT_NE(read_file(folder / "o/results/index.html").find("Figure 3"), std::string::npos);
  EXPECT_NE(call({"--list"}).out.find("1 done"), std::string::npos);
}

TEST(EvaluateCommand, HasMembers) {
  const Outcome help = run(words({"evaluate", "--help"}, {}));
  EXPECT_EQ(help.code, 0);
  EXPECT_NE(help.out.find("evaluate refine"), std::string::npos);
  EXPECT_NE(help.out.find("evaluate one-pass"), std::string::npos);
  EXPECT_NE(help.out.find("evaluate phase"), std::string::npos);
  const Outcome alone = run(words({"evaluate"}, {}));
  EXPECT_EQ(alone.code, 2);
  EXPECT_NE(alone.err.find("evaluate refine"), std::string::npos) << alone.err;
  EXPECT_EQ(run(words({"evaluate", "one-pass"}, {})).code, 2);
  EXPECT_EQ(run(words({"evaluate", "refine"}, {})).code, 2);
}

}  // namespace
}  // namespace cryored_test
