// Whole runs with a real network: record, log line, when LibTorch is loaded, the other commands.

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/cli/reconstruct_fixture.hpp"

namespace cryored_test {
namespace {

using Json = nlohmann::json;

double relative_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double difference = 0, power = 0;
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) {
    difference += std::pow(double{a[i]} - double{b[i]}, 2);
    power += double{b[i]} * double{b[i]};
  }
  return a.size() == b.size() && power > 0 ? std::sqrt(difference / power) : 1e9;
}

class RunTest : public ReconstructTest {
 protected:
  Outcome reconstruct(std::vector<std::string> words) const {
    words.insert(words.end(), {"--device", "cpu", "--threads", "2"});
    Outcome outcome = run(call(words));
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return outcome;
  }
  Json record() const { return Json::parse(read_file(files.record())); }
  static const std::string identity, random;
};
const std::string RunTest::identity = CRYORED_TEST_WEIGHTS;
const std::string RunTest::random = CRYORED_TEST_RANDOM_WEIGHTS;

TEST_F(RunTest, TheMapIsTheBlobThatWasPutIn) {
  files.write();
  reconstruct({"--prior", "gaussian"});
  const auto map = read_mrc_data(files.result());
  ASSERT_EQ(map.size(), 32u * 32 * 32);
  const auto highest = std::max_element(map.begin(), map.end()) - map.begin();
  EXPECT_EQ(highest, (16 * 32 + 16) * 32 + 16) << "the centre N/2";
}

TEST_F(RunTest, GaussianRecord) {
  files.write();
  const Outcome outcome = reconstruct({"--prior", "gaussian", "--skip-gridding"});
  const Json json = record();
  EXPECT_EQ(json["schema"], "cryored-record");
  EXPECT_EQ(json["schema_version"], 1);
  EXPECT_EQ(json["denoiser"]["ran"], false);
  EXPECT_EQ(json["denoiser"]["reason"], "--prior gaussian");
  EXPECT_TRUE(json["weights"].is_null());
  EXPECT_TRUE(json["program"]["torch"].is_null());
  EXPECT_EQ(json["request"]["half"], 1);
  EXPECT_EQ(json["request"]["iteration"], 4);
  EXPECT_EQ(json["request"]["box"], 32);
  EXPECT_EQ(json["options"]["skip-gridding"]["value"], "yes");
  EXPECT_EQ(json["options"]["skip-gridding"]["source"], "command line");
  EXPECT_EQ(json["options"]["fsc-threshold"]["source"], "default");
  EXPECT_EQ(json["pixel_size"]["A"], 3.0);
  EXPECT_EQ(json["inputs"].size(), 4u);
  EXPECT_EQ(json["inputs"][0]["path"], files.star());
  EXPECT_EQ(json["inputs"][1]["bytes"], 1024 + 4 * 17 * 32 * 32);
  EXPECT_EQ(json["result"]["bytes"], std::filesystem::file_size(files.result()));
  EXPECT_EQ(json["result"]["sha256"].get<std::string>().size(), 64u);
  EXPECT_EQ(json["device"]["threads"], 2);
  EXPECT_GT(json["timings_s"]["total"], 0.0);
  EXPECT_TRUE(json.contains("host") && json.contains("pid") && json.contains("time"));
  EXPECT_NEAR(json["resolution"]["nominal_A"], 8, 0.05);
  const Outcome digest = run(std::vector<std::string>{"sha256sum", files.result()});
  EXPECT_EQ(digest.out.substr(0, 64), json["result"]["sha256"]);
}

TEST_F(RunTest, CwRedWeighsByTheResolution) {
  files.fsc_crossing = 8.1;  // within the cut at shell 12 = 8 A
  files.write();
  const Outcome outcome = reconstruct({"--weights", random});
  const Json json = record();
  EXPECT_EQ(json["denoiser"]["ran"], true);
  const double resolution = json["resolution"]["nominal_A"], lambda = json["denoiser"]["lambda"];
  EXPECT_NEAR(resolution, 8.1, 0.1);
  EXPECT_NEAR(lambda, (10 - resolution) / (10 - 4.5), 1e-6) << "linear between 10 and 4.5 A";
  EXPECT_EQ(json["weights"]["path"], random);
  EXPECT_EQ(json["weights"]["sha256"].get<std::string>().size(), 64u);
  EXPECT_FALSE(json["program"]["torch"].is_null());
  EXPECT_EQ(json["denoiser"]["lambda_per_shell"].size(), 17u);
  EXPECT_GT(json["timings_s"]["denoiser_pass"], 0.0);
  char expected[160];
  std::snprintf(expected, sizeof expected,
                "denoiser ran on CPU (2 threads), cw-red, lambda %.3f, nominal resolution %.2f A", lambda, resolution);
  EXPECT_NE(outcome.out.find(expected), std::string::npos) << outcome.out;
  EXPECT_EQ(std::count(outcome.out.begin(), outcome.out.end(), '\n'), 1) << outcome.out;
}

TEST_F(RunTest, SaysWhenTheDenoiserKeepsNoise) {
  files.fsc_crossing = 8.1;
  files.write();
  const Outcome identity_ran = reconstruct({"--prior", "red", "--weights", identity});
  const double kept = record()["denoiser"]["kept_noise"];
  EXPECT_GT(kept, 0.1) << "the identity keeps all of it";
  char expected[80];
  std::snprintf(expected, sizeof expected, "; warning: kept noise %.2f (0.05 or less where", kept);
  EXPECT_NE(identity_ran.out.find(expected), std::string::npos) << identity_ran.out;
  const Outcome none = reconstruct({"--prior", "gaussian"});
  EXPECT_FALSE(record()["denoiser"].contains("kept_noise"));
  EXPECT_EQ(none.out.find("kept noise"), std::string::npos);
}

TEST_F(RunTest, ConfidencePerShellComesFromTheWeights) {
  files.write();  // box 32, pixel 3 A: shell s at 96 / s A; the half-maps reach the cut at 8 A
  const Outcome outcome = reconstruct({"--confidence", "per-shell", "--weights", CRYORED_TEST_CONFIDENT_WEIGHTS});
  const Json denoiser = record()["denoiser"];
  EXPECT_EQ(denoiser["confidence"], "per-shell");
  EXPECT_NEAR(denoiser["lambda_per_shell"][8].get<double>(), 1, 1e-9);     // 12 A
  EXPECT_NEAR(denoiser["lambda_per_shell"][10].get<double>(), 0.5, 1e-9);  // 9.6 A
  EXPECT_EQ(denoiser["prior_weight"], 4);
  EXPECT_NE(
      outcome.out.find("RED, confidence per-shell, lambda 1.00 at 20 A, 1.00 at 15 A, 1.00 at 12 A, 0.50 at 10 A, "
                       "weight of the prior 4, nominal"),
      std::string::npos)
      << outcome.out;
  EXPECT_EQ(
      Json::parse(run(std::vector<std::string>{cryored(), "weights", "list", CRYORED_TEST_CONFIDENT_WEIGHTS, "--json"})
                      .out)[0]["confidence"]["lambda"],
      Json::parse("[1.0, 0.0]"));

  // Without --prior: per shell where the weights have the table (CwRedWeighsByTheResolution: else cw-red).
  using Words = std::vector<std::string>;
  for (const Words& options : {Words{}, Words{"--prior", "per-shell"}}) {
    Words words = {"--weights", CRYORED_TEST_CONFIDENT_WEIGHTS};
    words.insert(words.end(), options.begin(), options.end());
    const Outcome by_prior = reconstruct(words);
    EXPECT_EQ(record()["denoiser"]["confidence"], "per-shell");
    EXPECT_EQ(record()["denoiser"]["lambda_per_shell"], denoiser["lambda_per_shell"]);
    EXPECT_NE(by_prior.out.find("per-shell, lambda 1.00 at 20 A"), std::string::npos) << by_prior.out;
  }
  reconstruct({"--prior", "cw-red", "--weights", CRYORED_TEST_CONFIDENT_WEIGHTS});
  EXPECT_EQ(record()["denoiser"]["confidence"], "cw");
  EXPECT_EQ(record()["denoiser"]["prior_weight"], 1) << "the paper's rule has RELION's tau2";

  reconstruct({"--confidence", "red", "--weights", random});
  EXPECT_EQ(record()["denoiser"]["confidence"], "red");
  EXPECT_EQ(record()["denoiser"]["lambda"], 1.0);
  reconstruct({"--prior", "gaussian", "--confidence", "per-shell", "--weights", random});
  EXPECT_TRUE(record()["denoiser"]["confidence"].is_null());
}

TEST_F(RunTest, TheResolutionChoosesTheDenoiser) {
  const std::string folder = CRYORED_TEST_CHOICE_OF_WEIGHTS;  // Nyquist limits of 10 and 6 A
  const auto chosen = [&](double crossing, const std::vector<std::string>& options) {
    files.fsc_crossing = crossing;
    files.write();
    Invocation invocation = call({"--device", "cpu", "--threads", "2"});
    invocation.words.insert(invocation.words.begin() + 1, options.begin(), options.end());
    invocation.environment["CRYORED_WEIGHTS"] = folder;
    const Outcome outcome = run(invocation);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return record();
  };
  const Json far = chosen(16, {}), near = chosen(8, {});
  EXPECT_EQ(far["weights"]["path"], folder + "/denoiser-5.0A.crw");
  EXPECT_EQ(near["weights"]["path"], folder + "/denoiser-3.0A.crw");
  for (const Json& json : {far, near}) {
    EXPECT_EQ(json["denoiser"]["ran"], true);
    EXPECT_EQ(json["denoiser"]["confidence"], "per-shell");
  }
  // The table is that of the chosen one, and the coarse one ends at its own limit, 96 / 10 A.
  EXPECT_LE(far["denoiser"]["last_denoised_shell"], 9);
  EXPECT_GE(near["denoiser"]["last_denoised_shell"], 10);
  EXPECT_EQ(chosen(8, {"--weights", folder + "/denoiser-5.0A.crw"})["weights"]["voxel_size_A"], 5.0) << "named";
}

TEST_F(RunTest, ConfidencePerShellNeedsATable) {
  files.write();
  expect_failure(call({"--confidence", "per-shell", "--device", "cpu", "--weights", random}),
                 {"random.crw", "confidence: found nothing", "Remedy: add it with cryored-calibrate"});
  // One that only a later iteration would take must end this one already.
  const std::filesystem::path choice = CRYORED_TEST_CHOICE_OF_WEIGHTS,
                              folder = std::filesystem::path(scratch.path()) / "mixed";
  std::filesystem::create_directory(folder);
  std::filesystem::copy_file(choice / "denoiser-5.0A.crw", folder / "denoiser-5.0A.crw");
  std::filesystem::copy_file(random, folder / "denoiser-3.0A.crw");
  files.fsc_crossing = 16;
  files.write();
  Invocation asked = call({"--device", "cpu", "--confidence", "per-shell"}), automatic = call({"--device", "cpu"});
  for (Invocation* invocation : {&asked, &automatic}) invocation->environment["CRYORED_WEIGHTS"] = folder;
  expect_failure(asked, {"denoiser-3.0A.crw", "confidence: found nothing"});
  EXPECT_EQ(run(automatic).code, 0);
}

TEST_F(RunTest, LambdaZeroIsTheGaussianMapAndLoadsNoNetwork) {
  files.fsc_crossing = 15;
  files.write();
  reconstruct({"--prior", "gaussian"});
  const auto gaussian = read_mrc_data(files.result());
  const Outcome outcome = reconstruct({"--weights", random});
  EXPECT_NE(outcome.out.find("denoiser did not run ("), std::string::npos) << outcome.out;
  EXPECT_LT(relative_difference(read_mrc_data(files.result()), gaussian), 1e-6);
  EXPECT_TRUE(record()["program"]["torch"].is_null());
  reconstruct({"--weights", random, "--lambda", "0"});
  EXPECT_LT(relative_difference(read_mrc_data(files.result()), gaussian), 1e-6);
}

TEST_F(RunTest, ALambdaThatIsGivenIsToldAsFixed) {
  files.write();
  for (const char* prior : {"auto", "cw-red"}) {
    const Outcome outcome = reconstruct({"--weights", identity, "--lambda", "1", "--prior", prior});
    EXPECT_NE(outcome.out.find(", RED, confidence fixed, lambda 1.000, "), std::string::npos) << outcome.out;
    EXPECT_EQ(record()["denoiser"]["confidence"], "fixed");
  }
}

TEST_F(RunTest, TheDenoiserChangesTheMapAndTheIdentityDoesNotChangeItMuch) {
  files.write();
  reconstruct({"--prior", "gaussian"});
  const auto gaussian = read_mrc_data(files.result());
  reconstruct({"--prior", "red", "--weights", random});
  EXPECT_GT(relative_difference(read_mrc_data(files.result()), gaussian), 1e-3);
  EXPECT_EQ(record()["denoiser"]["lambda"], 1.0);
  // RED with the identity takes the regularisation back; it must differ from the Gaussian map, too.
  reconstruct({"--prior", "red", "--weights", identity});
  EXPECT_GT(relative_difference(read_mrc_data(files.result()), gaussian), 1e-6);
}

TEST_F(RunTest, OptionsFromEveryPlaceReachTheRun) {
  files.write();
  write_file(scratch / "cryored.conf", "confidence-range = 20:10\n");
  Invocation invocation = call({"--device", "cpu"});
  invocation.environment["CRYORED_WEIGHTS"] = random;
  const Outcome outcome = run(invocation);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json json = record();
  EXPECT_EQ(json["denoiser"]["lambda"], 1.0) << "8 A is better than 10 A";
  EXPECT_EQ(json["options"]["confidence-range"]["source"], "cryored.conf:1");
  EXPECT_EQ(json["options"]["weights"]["source"], "environment variable CRYORED_WEIGHTS");
}

TEST_F(RunTest, TellsWherePixelSizeAndSymmetryWereSetAndWhatTheJobSays) {
  files.write();  // with 3 A
  write_file(scratch / "run_it003_sampling.star", "data_sampling_general\n_rlnSymmetryGroup D2\n");
  write_file(scratch / "cryored.conf", "pixel-size = 2\nsymmetry = c2\n");
  const std::vector<std::string> red{"--weights", identity};
  const std::string log = reconstruct(red).out;
  EXPECT_NE(log.find("; warning: pixel size 2 A (pixel-size, cryored.conf:1), the job says 3 A (" + files.star()),
            std::string::npos)
      << log;
  EXPECT_NE(log.find("; warning: symmetry C2 (symmetry, cryored.conf:2), the job says D2 (the job's files)"),
            std::string::npos)
      << log;
  EXPECT_EQ(record()["pixel_size"]["source"], "pixel-size, cryored.conf:1");
  EXPECT_EQ(record()["denoiser"]["symmetry_from"], "symmetry, cryored.conf:2");

  write_file(scratch / "cryored.conf", "pixel-size = 3.0\n");
  const std::string agreeing = reconstruct(red).out;
  EXPECT_NE(agreeing.find("; pixel size 3 A (pixel-size, cryored.conf:1)"), std::string::npos) << agreeing;
  EXPECT_EQ(agreeing.find("warning: pixel size"), std::string::npos) << agreeing;

  const std::string chosen = reconstruct({"--weights", identity, "--pixel-size", "3", "--symmetry", "D3"}).out;
  EXPECT_EQ(chosen.find("pixel size"), std::string::npos) << chosen;
  EXPECT_NE(chosen.find("; warning: symmetry D3 (--symmetry, command line), the job says D2"), std::string::npos);
  EXPECT_EQ(record()["pixel_size"]["source"], "--pixel-size, command line");

  Invocation invocation = call({"--prior", "gaussian", "--device", "cpu"});
  std::filesystem::remove(scratch / "cryored.conf");
  invocation.environment["CRYORED_PIXEL_SIZE"] = "2";
  const std::string variable = run(invocation).out;
  EXPECT_NE(variable.find("; warning: pixel size 2 A (pixel-size, environment variable CRYORED_PIXEL_SIZE), the job"),
            std::string::npos)
      << variable;
}

TEST_F(RunTest, WarnsOfVariablesThatAreNoOptions) {
  files.write();
  Invocation invocation = call({"--prior", "gaussian", "--device", "cpu"});
  invocation.environment["CRYORED_LAMDA"] = "0.5";
  invocation.environment["CRYORED_THREADS"] = "1";
  const std::string line = run(invocation).out;
  EXPECT_NE(line.find("; warning: the variable CRYORED_LAMDA is no option of cryored"), std::string::npos) << line;
  EXPECT_EQ(record()["unknown_variables"], Json::array({"CRYORED_LAMDA"}));
  EXPECT_EQ(reconstruct({"--prior", "gaussian"}).out.find("no option of cryored"), std::string::npos);
  EXPECT_EQ(record()["unknown_variables"], Json::array());
}

TEST_F(RunTest, JoinedMapIsTheWienerMapWithTheDenoisedOneBeside) {
  files.stem = "run_it012_class001";
  files.write();
  reconstruct({"--prior", "gaussian"});
  const auto gaussian = read_mrc_data(files.result());
  const Outcome outcome = reconstruct({"--prior", "red", "--weights", random});
  EXPECT_LT(relative_difference(read_mrc_data(files.result()), gaussian), 1e-6);
  const Json json = record();
  EXPECT_EQ(json["denoiser"]["ran"], true);
  EXPECT_EQ(json["denoiser"]["result_is_denoised"], false);
  const std::string beside = json["beside"]["path"];
  const auto denoised = read_mrc_data(beside);
  EXPECT_GT(relative_difference(denoised, gaussian), 1e-3);
  EXPECT_NE(outcome.out.find("result is the Wiener map"), std::string::npos) << outcome.out;
  reconstruct({"--prior", "red", "--weights", random, "--denoise-joined"});
  EXPECT_EQ(read_mrc_data(files.result()), denoised);
  EXPECT_FALSE(exists(beside)) << "that of the earlier run goes";
}

TEST_F(RunTest, AStaleResultStarDoesNotSurvive) {
  files.write();
  write_file(files.file("_out.star"), "data_\n");  // RELION would read it
  reconstruct({"--prior", "gaussian"});
  EXPECT_FALSE(exists(files.file("_out.star")));
  EXPECT_EQ(record()["result"]["removed_stale_result_star"], true);
}

TEST_F(RunTest, JsonPrintsTheRecord) {
  files.write();
  const Outcome outcome = reconstruct({"--prior", "gaussian", "--json"});
  EXPECT_EQ(Json::parse(outcome.out), record());
}

TEST_F(RunTest, WithoutPixelSizeTheGaussianPriorStillWorks) {
  files.pixel_size = 0;
  files.write();
  reconstruct({"--prior", "gaussian"});
  EXPECT_TRUE(record()["pixel_size"]["A"].is_null());
  reconstruct({"--prior", "red", "--weights", identity, "--pixel-size", "3"});
  EXPECT_EQ(record()["pixel_size"]["A"], 3.0);
}

TEST_F(RunTest, DenoiseWithTheIdentityReturnsTheMap) {
  files.write();
  reconstruct({"--prior", "gaussian"});
  const std::string out = scratch / "out.mrc";
  const std::vector<std::string> tail{"--device", "cpu", "--threads", "2"};
  std::vector<std::string> words{cryored(), "denoise", files.result(), out, "--weights", identity};
  words.insert(words.end(), tail.begin(), tail.end());
  const Outcome outcome = run(words);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_LT(relative_difference(read_mrc_data(out), read_mrc_data(files.result())), 1e-5);
  words[5] = random;
  words.insert(words.end(), {"--pixel-size", "2.1", "--json"});  // resampled to 3 A and back
  const Outcome second = run(words);
  ASSERT_EQ(second.code, 0) << second.err;
  EXPECT_GT(relative_difference(read_mrc_data(out), read_mrc_data(files.result())), 1e-3);
  const Json json = Json::parse(second.out);
  EXPECT_EQ(json["pixel_size_A"], 2.1);
  EXPECT_NEAR(json["network"]["voxel_size_A"], 3.0, 0.003);
}

TEST_F(RunTest, DenoiseTakesTheCoarsestOfAFolderOfWeights) {
  const std::string folder = CRYORED_TEST_CHOICE_OF_WEIGHTS;
  write_mrc_file(scratch / "map.mrc", 32, 32, 32, std::vector<float>(32 * 32 * 32, 1.f), 3);
  Invocation invocation;
  invocation.words = {cryored(), "denoise", scratch / "map.mrc", scratch / "out.mrc", "--device", "cpu", "--json"};
  invocation.environment["CRYORED_WEIGHTS"] = folder;
  const Outcome outcome = run(invocation);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(Json::parse(outcome.out)["weights"]["path"], folder + "/denoiser-5.0A.crw");
  invocation.environment["CRYORED_WEIGHTS"] = identity;
  const Outcome named = run(invocation);
  ASSERT_EQ(named.code, 0) << named.err;
  EXPECT_EQ(Json::parse(named.out)["weights"]["path"], identity);
}

TEST_F(RunTest, DenoiseBadInput) {
  files.write();
  reconstruct({"--prior", "gaussian"});
  const std::string out = scratch / "out.mrc";
  const auto fails = [&](const std::string& input, const std::vector<std::string>& parts) {
    const Outcome outcome =
        run(std::vector<std::string>{cryored(), "denoise", input, out, "--device", "cpu", "--weights", identity});
    EXPECT_EQ(outcome.code, 1) << outcome.err;
    for (const auto& part : parts) EXPECT_NE(outcome.err.find(part), std::string::npos) << outcome.err;
    EXPECT_FALSE(exists(out));
  };
  fails(scratch / "none.mrc", {"none.mrc", "Remedy"});
  fails(files.file("_weight.mrc"), {"17 x 32 x 32", "a cube"});
  write_mrc_file(scratch / "bare.mrc", 16, 16, 16, std::vector<float>(4096, 1.f), 0);
  fails(scratch / "bare.mrc", {"pixel size", "--pixel-size"});
  std::filesystem::copy_file(files.result(), scratch / "nan.mrc");
  patch_float(scratch / "nan.mrc", 35, std::nanf(""));
  fails(scratch / "nan.mrc", {"voxel (3, 1, 0)", "nan"});
}

TEST_F(RunTest, FscCommand) {
  files.write();
  reconstruct({"--prior", "gaussian"});
  const std::string svg = scratch / "fsc.svg";
  const Outcome same =
      run(std::vector<std::string>{cryored(), "fsc", files.result(), files.result(), "--plot", svg, "--json"});
  ASSERT_EQ(same.code, 0) << same.err;
  const Json json = Json::parse(same.out);
  ASSERT_EQ(json["fsc"].size(), 17u);
  for (int s = 1; s <= 11; ++s) EXPECT_NEAR(json["fsc"][static_cast<std::size_t>(s)], 1, 1e-5) << s;
  EXPECT_EQ(json["pixel_size_A"], 3.0);
  EXPECT_EQ(json["crossings"].size(), 2u);
  EXPECT_NE(read_file(svg).find("<svg"), std::string::npos);
  // Two maps of independent noise: no correlation, so the curve crosses at once.
  std::vector<float> a(32 * 32 * 32), b(a.size());
  unsigned state = 1;
  for (auto* map : {&a, &b})
    for (float& value : *map) value = static_cast<float>((state = state * 1664525u + 1013904223u) >> 8) / 1.6e7f - 0.5f;
  write_mrc_file(scratch / "a.mrc", 32, 32, 32, a, 2);
  write_mrc_file(scratch / "b.mrc", 32, 32, 32, b, 2);
  const Outcome noise = run(std::vector<std::string>{cryored(), "fsc", scratch / "a.mrc", scratch / "b.mrc", "--json"});
  ASSERT_EQ(noise.code, 0) << noise.err;
  const Json other = Json::parse(noise.out);
  EXPECT_EQ(other["crossings"][0]["reached"], true);
  EXPECT_GT(other["crossings"][0]["resolution_A"], 10.0);
  for (int s = 6; s <= 15; ++s) EXPECT_LT(std::abs(other["fsc"][static_cast<std::size_t>(s)].get<double>()), 0.25) << s;
  // A mask that leaves one voxel makes everything equal.
  std::vector<float> mask(a.size(), 0.f);
  mask[5000] = 1;
  write_mrc_file(scratch / "mask.mrc", 32, 32, 32, mask, 2);
  const Outcome masked = run(std::vector<std::string>{cryored(), "fsc", scratch / "a.mrc", scratch / "b.mrc", "--mask",
                                                      scratch / "mask.mrc", "--json"});
  ASSERT_EQ(masked.code, 0) << masked.err;
  EXPECT_NEAR(std::abs(Json::parse(masked.out)["fsc"][5].get<double>()), 1, 1e-4);
  const Outcome boxes = run(
      std::vector<std::string>{cryored(), "fsc", scratch / "a.mrc", files.file("_weight.mrc"), "--pixel-size", "2"});
  EXPECT_EQ(boxes.code, 1);
  const Outcome sizes = run(std::vector<std::string>{cryored(), "fsc", scratch / "a.mrc", files.result()});
  EXPECT_EQ(sizes.code, 1);
  EXPECT_NE(sizes.err.find("--pixel-size"), std::string::npos) << sizes.err;
}

TEST_F(RunTest, FscRefusesMapsThatHaveNone) {
  std::vector<float> structure(16 * 16 * 16);
  for (std::size_t i = 0; i < structure.size(); ++i) structure[i] = static_cast<float>(i * 7919 % 101);
  const auto map = [&](const std::string& name, const std::vector<float>& data, double pixel_size) {
    write_mrc_file(scratch / name, 16, 16, 16, data, pixel_size);
  };
  map("a.mrc", structure, 2);
  const auto fails = [&](const std::string& other, const std::string& mask, const std::vector<std::string>& parts) {
    std::vector<std::string> words{cryored(), "fsc", scratch / "a.mrc", scratch / other};
    if (!mask.empty()) words.insert(words.end(), {"--mask", scratch / mask});
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.code, 1) << outcome.out;
    for (const auto& part : parts) EXPECT_NE(outcome.err.find(part), std::string::npos) << outcome.err;
  };
  map("zero.mrc", std::vector<float>(structure.size()), 2);
  fails("zero.mrc", "", {"zero.mrc", "the value 0 everywhere", "Remedy"});
  fails("a.mrc", "zero.mrc", {"a.mrc", "within the mask", "Remedy"});
  std::vector<float> huge = structure;
  for (float& value : huge) value = 3e38f;
  huge[5] = -3e38f;
  map("huge.mrc", huge, 2);
  fails("huge.mrc", "", {"huge.mrc", "overflow", "Remedy"});
  map("mask.mrc", std::vector<float>(structure.size(), 1.f), 3);
  fails("a.mrc", "mask.mrc", {"mask.mrc", "3.0", "2.0", "--pixel-size"});
  map("long.mrc", structure, 2);
  patch_header(scratch / "long.mrc", 12, 0x42400000);  // cella.z 48 A
  fails("long.mrc", "", {"long.mrc", "2 x 2 x 3 A", "voxels of one edge", "Remedy"});
}

TEST_F(RunTest, NoOutputTakesThePlaceOfAnInput) {
  const std::vector<float> values(16 * 16 * 16, 1.f);
  for (const char* name : {"a.mrc", "b.mrc", "mask.mrc"}) write_mrc_file(scratch / name, 16, 16, 16, values, 2);
  std::filesystem::create_symlink("a.mrc", scratch / "link.mrc");
  const std::string before = read_file(scratch / "a.mrc");
  const std::vector<std::vector<std::string>> calls = {{"denoise", "a.mrc", "./a.mrc", "--weights", identity},
                                                       {"denoise", "a.mrc", "link.mrc", "--weights", identity},
                                                       {"fsc", "a.mrc", "b.mrc", "--plot", "a.mrc"},
                                                       {"fsc", "b.mrc", "a.mrc", "--plot", "link.mrc"},
                                                       {"fsc", "b.mrc", "b.mrc", "--mask", "a.mrc", "--plot", "a.mrc"}};
  for (const auto& words : calls) {
    Invocation invocation;
    invocation.words = {cryored()};
    invocation.words.insert(invocation.words.end(), words.begin(), words.end());
    invocation.folder = scratch.path();
    const Outcome outcome = run(invocation);
    EXPECT_EQ(outcome.code, 2) << outcome.err;
    EXPECT_NE(outcome.err.find("found the input a.mrc"), std::string::npos) << outcome.err;
    EXPECT_EQ(read_file(scratch / "a.mrc"), before);
  }
}

TEST_F(RunTest, WeightsCommand) {
  const Outcome good = run(std::vector<std::string>{cryored(), "weights", "verify", identity, "--json"});
  ASSERT_EQ(good.code, 0) << good.err;
  EXPECT_EQ(Json::parse(good.out)[0]["intact"], true);
  EXPECT_EQ(Json::parse(good.out)[0]["voxel_size_A"], 3.0);
  std::filesystem::copy_file(identity, scratch / "bent.crw");
  patch_float(scratch / "bent.crw", 1000, 7.f);  // somewhere in the tensors
  EXPECT_EQ(run(std::vector<std::string>{cryored(), "weights", "list", scratch / "bent.crw"}).code, 0);
  const Outcome bent = run(std::vector<std::string>{cryored(), "weights", "verify", identity, scratch / "bent.crw"});
  EXPECT_EQ(bent.code, 1);
  EXPECT_NE(bent.out.find("intact"), std::string::npos) << "the good one is still reported";
  EXPECT_NE(bent.err.find("bent.crw"), std::string::npos);
  // The same file at work: an error, never an unverified network.
  files.write();
  expect_failure(call({"--prior", "red", "--device", "cpu", "--weights", scratch / "bent.crw"}),
                 {"bent.crw", "Remedy"});
  EXPECT_EQ(run(std::vector<std::string>{cryored(), "weights", "burn"}).code, 2);
  Invocation listed;
  listed.words = {cryored(), "weights"};
  listed.environment["CRYORED_WEIGHTS"] = scratch / "bent.crw";
  EXPECT_NE(run(listed).out.find("bent.crw"), std::string::npos);
  listed.environment["CRYORED_WEIGHTS"] = scratch / "none";
  const Outcome none = run(listed);
  EXPECT_EQ(none.code, 1) << none.out;
  EXPECT_NE(none.err.find("environment variable CRYORED_WEIGHTS: found"), std::string::npos) << none.err;
}

}  // namespace
}  // namespace cryored_test
