// cryored doctor, env and config.

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/cli/reconstruct_fixture.hpp"

namespace cryored_test {
namespace {

using Json = nlohmann::json;
using Words = std::vector<std::string>;

class DoctorTest : public ReconstructTest {
 protected:
  void make_map(const std::string& stem, const Words& words) {
    files.stem = stem;
    files.write();
    ASSERT_EQ(run(call(words)).code, 0);
  }
  Outcome doctor() const { return run(Words{cryored(), "doctor", scratch.path(), "--json"}); }
};

TEST_F(DoctorTest, SeesThatEveryMapWasMadeByCryored) {
  make_map("run_it001_half1_class001", {"--prior", "gaussian"});
  make_map("run_it001_half2_class001", {"--prior", "red", "--device", "cpu", "--weights", CRYORED_TEST_WEIGHTS});
  const Outcome outcome = doctor();
  ASSERT_EQ(outcome.code, 0) << outcome.out << outcome.err;
  const Json json = Json::parse(outcome.out);
  EXPECT_EQ(json["good"], true);
  ASSERT_EQ(json["maps"].size(), 2u);
  EXPECT_EQ(json["maps"][0]["made_by"], "cryored, Gaussian");
  EXPECT_EQ(json["maps"][1]["made_by"], "cryored, denoised");
  EXPECT_EQ(json["maps"][1]["lambda"], 1.0);
  EXPECT_EQ(json["maps"][1]["iteration"], 1);
}

TEST_F(DoctorTest, WarnsWhereTheDenoiserKeepsNoise) {
  files.fsc_crossing = 8.1;
  const std::vector<std::string> red = {"--prior", "red", "--device", "cpu", "--weights", CRYORED_TEST_WEIGHTS};
  make_map("run_it001_half1_class001", red);
  make_map("run_it002_half1_class001", red);
  files.fsc_crossing = 7;
  make_map("run_it002_half2_class001", red);
  make_map("run_it003_half1_class001", {"--prior", "gaussian"});
  const Json json = Json::parse(doctor().out);
  const double kept = json["maps"][1]["kept_noise"];
  EXPECT_GT(kept, 0.1) << "the identity keeps all of it";
  EXPECT_EQ(json["maps"][0]["kept_noise"], kept);
  EXPECT_LT(json["maps"][2]["kept_noise"].get<double>(), kept) << "another half-map FSC";
  EXPECT_TRUE(json["maps"][3]["kept_noise"].is_null());
  const Outcome text = run(Words{cryored(), "doctor", scratch.path()});
  EXPECT_EQ(text.code, 0) << "advice, no problem of the machine";
  char expected[80];
  std::snprintf(expected, sizeof expected, "the denoiser kept noise (%.2f; 0.05 or less", kept);
  EXPECT_NE(text.out.find(expected), std::string::npos) << text.out;
  const std::string star = scratch / "run_it002_half1_class001_external_reconstruct.star";
  EXPECT_TRUE(exists(star));
  EXPECT_NE(text.out.find("evaluate one-pass " + star + "\n"), std::string::npos) << text.out;
  for (const char* map : {"run_it001_half1", "run_it002_half1", "run_it002_half2"})
    std::filesystem::remove(scratch / (std::string(map) + "_class001_external_reconstruct_cryored.json"));
  EXPECT_EQ(run(Words{cryored(), "doctor", scratch.path()}).out.find("kept noise ("), std::string::npos);
}

TEST_F(DoctorTest, SeesThatAnotherProgramMadeTheMap) {
  make_map("run_it001_half1_class001", {"--prior", "gaussian"});
  files.stem = "run_it002_half1_class001";
  files.write();
  write_mrc_file(files.result(), 4, 4, 4, std::vector<float>(64, 1.f), 1);
  const Outcome outcome = doctor();
  EXPECT_EQ(outcome.code, 1);
  const Json json = Json::parse(outcome.out);
  EXPECT_EQ(json["maps"][1]["made_by"], "not cryored");
  EXPECT_NE(json["remedy"].get<std::string>().find("RELION_EXTERNAL_RECONSTRUCT_EXECUTABLE"), std::string::npos);
}

TEST_F(DoctorTest, SeesThatTheMapWasOverwritten) {
  make_map("run_it001_half1_class001", {"--prior", "gaussian"});
  patch_float(files.result(), 100, 42.f);  // same size, and the record still beside it
  const Json json = Json::parse(doctor().out);
  EXPECT_EQ(json["maps"][0]["made_by"], "not cryored");
  EXPECT_NE(json["maps"][0]["note"].get<std::string>().find("overwritten"), std::string::npos);
}

TEST_F(DoctorTest, SeesAMissingMapAndABrokenRecord) {
  make_map("run_it001_half1_class001", {"--prior", "gaussian"});
  write_file(files.record(), "{ \"schema\": ");
  files.stem = "run_it002_half1_class001";
  files.write();
  const Outcome outcome = doctor();
  EXPECT_EQ(outcome.code, 1);
  const Json json = Json::parse(outcome.out);
  EXPECT_EQ(json["maps"][0]["made_by"], "not cryored");
  EXPECT_NE(json["maps"][0]["note"].get<std::string>().find("cannot be read"), std::string::npos);
  EXPECT_EQ(json["maps"][1]["made_by"], "no map");
}

TEST_F(DoctorTest, SeesIterationsInWhichRelionAskedNobody) {
  make_map("run_it001_half1_class001", {"--prior", "gaussian"});
  for (const char* name :
       {"run_it000_half1_class001.mrc", "run_it001_half1_class001.mrc", "run_it002_half1_class001.mrc"})
    write_file(scratch / name, "a map");
  const Outcome outcome = doctor();
  EXPECT_EQ(outcome.code, 1);
  const Json json = Json::parse(outcome.out);
  EXPECT_EQ(json["iterations_not_asked"], Json::array({2}));
  EXPECT_NE(json["remedy"].get<std::string>().find("--external_reconstruct"), std::string::npos);
}

TEST_F(DoctorTest, SeesAJobWithoutTheOption) {
  write_file(scratch / "run_it001_optimiser.star",
             "# version 30001\n\n# RELION optimiser; version 3.1.3\n# --o run --i particles.star --auto_refine\n");
  write_file(scratch / "run_it001_class001.mrc", "a map");
  const Outcome outcome = doctor();
  EXPECT_EQ(outcome.code, 1);
  const Json json = Json::parse(outcome.out);
  EXPECT_NE(json["text"].get<std::string>().find("no external program"), std::string::npos);
  EXPECT_NE(json["command_line"].get<std::string>().find("--auto_refine"), std::string::npos);
}

TEST_F(DoctorTest, RefusesWhatIsNoJob) {
  EXPECT_EQ(run(Words{cryored(), "doctor", scratch / "none"}).code, 1);
  EXPECT_EQ(run(Words{cryored(), "doctor", scratch.path()}).code, 1);
}

TEST_F(DoctorTest, ChecksTheMachine) {
  Invocation invocation;
  invocation.words = {cryored(), "doctor", "--json", "--device", "cpu", "--weights", CRYORED_TEST_WEIGHTS};
  invocation.folder = scratch.path();
  // A stand-in for RELION, so that the test needs none.
  std::filesystem::create_directory(scratch / "bin");
  write_file(scratch / "bin/relion_refine", "#!/bin/sh\necho 'RELION version: 3.1.3 '\n");
  std::filesystem::permissions(scratch / "bin/relion_refine", std::filesystem::perms::owner_all);
  invocation.environment["PATH"] = scratch / "bin:/usr/bin:/bin";
  invocation.environment["RELION_EXTERNAL_RECONSTRUCT_EXECUTABLE"] = "'" + plugin() + "' --lambda 0.5";
  const Outcome outcome = run(invocation);
  EXPECT_EQ(outcome.code, 0) << outcome.out << outcome.err;
  std::map<std::string, Json> by_subject;
  for (const auto& finding : Json::parse(outcome.out)) by_subject[finding["subject"]] = finding;
  for (const char* subject : {"RELION", "variable", "cryored", "LibTorch", "weights", "device"})
    EXPECT_EQ(by_subject[subject]["level"], "good") << by_subject[subject];
  EXPECT_NE(by_subject["RELION"]["text"].get<std::string>().find("3.1.3"), std::string::npos);
  EXPECT_EQ(scratch.names(), Words{"bin"}) << "the probe of the folder leaves nothing";

  for (const char* words : {"--lamda 0.5", "--lambda 1.5", "\"--prior\" 'bayes'", "job.star", "--help", "--lambda"}) {
    invocation.environment["RELION_EXTERNAL_RECONSTRUCT_EXECUTABLE"] = "'" + plugin() + "' " + words;
    const Outcome wrong = run(invocation);
    EXPECT_EQ(wrong.code, 1) << words;
    for (const auto& finding : Json::parse(wrong.out))
      if (finding["subject"] == "variable") {
        EXPECT_EQ(finding["level"], "problem") << finding;
      }
  }
  for (const char* words : {"--daemon-name a_b --no-lambda-is-for-the-shell $OPTIONS", "--no-daemon --prior red"}) {
    invocation.environment["RELION_EXTERNAL_RECONSTRUCT_EXECUTABLE"] = plugin() + " " + words;
    EXPECT_EQ(run(invocation).code, 0) << words;
  }

  invocation.environment.erase("RELION_EXTERNAL_RECONSTRUCT_EXECUTABLE");
  const Outcome unset = run(invocation);
  EXPECT_EQ(unset.code, 1);
  EXPECT_NE(unset.out.find("is not set"), std::string::npos) << unset.out;
}

TEST_F(DoctorTest, EnvPrintsALineThatShellsTake) {
  const std::string show = "printf '%s' \"$RELION_EXTERNAL_RECONSTRUCT_EXECUTABLE\"";
  EXPECT_EQ(run(Words{"sh", "-c", "eval \"$('" + cryored() + "' env)\"; " + show}).out, plugin());
  EXPECT_EQ(run(Words{"sh", "-c", "eval \"$('" + cryored() + "' env -- --lambda 0.5)\"; " + show}).out,
            plugin() + " --lambda 0.5");
  EXPECT_EQ(run(Words{cryored(), "env", "--csh"}).out,
            "setenv RELION_EXTERNAL_RECONSTRUCT_EXECUTABLE " + plugin() + ";\n");
  EXPECT_NE(run(Words{cryored(), "env"}).out.find("mpirun -x RELION_EXTERNAL_RECONSTRUCT_EXECUTABLE"),
            std::string::npos);
}

TEST_F(DoctorTest, EnvChecksItsWords) {
  const std::pair<Words, const char*> wrong[] = {{{"--lamda", "0.5"}, "did you mean --lambda?"},
                                                 {{"--lambda", "1.5"}, "a number from 0 to 1"},
                                                 {{"job.star"}, "(job.star, STAR)"},
                                                 {{"--symmetry", "Q7"}, "Q7"},
                                                 {{"--daemon-name", "a b"}, "1 to 32 letters"},
                                                 {{"--help"}, "no map is made"}};
  for (const auto& [given, part] : wrong) {
    Words words{cryored(), "env", "--"};
    words.insert(words.end(), given.begin(), given.end());
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.code, 2) << part;
    EXPECT_EQ(outcome.out, "") << "for eval";
    EXPECT_NE(outcome.err.find(part), std::string::npos) << outcome.err;
  }
  EXPECT_EQ(run(Words{cryored(), "env", "--", "--daemon-name", "mine", "--via-files", "--prior", "red"}).code, 0);
}

TEST_F(DoctorTest, ConfigChecksSymmetryAndDaemonName) {
  EXPECT_EQ(run(Words{cryored(), "config", "--symmetry", "Q7"}).code, 2);
  EXPECT_EQ(run(Words{cryored(), "config", "--daemon-name", "a b"}).code, 2);
  EXPECT_EQ(run(Words{cryored(), "config", "--symmetry", "d2", "--daemon-name", "mine"}).code, 0);

  // Where it comes from is what the command is asked for.
  Invocation invocation;
  invocation.words = {cryored(), "config"};
  invocation.environment = {{"CRYORED_SYMMETRY", "Q7"}, {"CRYORED_WHEELS", "/wheels"}};
  const Outcome outcome = run(invocation);
  EXPECT_EQ(outcome.code, 2);
  EXPECT_NE(outcome.err.find("CRYORED_SYMMETRY"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.out.find("fsc-threshold"), std::string::npos) << outcome.out;
  EXPECT_EQ(outcome.out.find("CRYORED_WHEELS"), std::string::npos) << outcome.out;
}

TEST_F(DoctorTest, DaemonTakesNoDataFileForItsLog) {
  write_file(scratch / "particles.star", "data_\n");
  const Outcome outcome = run(Words{cryored(), "daemon", "--watch", "--log", scratch / "particles.star"});
  EXPECT_EQ(outcome.code, 2) << outcome.err;
  EXPECT_NE(outcome.err.find("particles.star"), std::string::npos) << outcome.err;
  EXPECT_EQ(read_file(scratch / "particles.star"), "data_\n");
}

TEST_F(DoctorTest, EnvSurvivesAFolderWithSpaces) {
  const std::string folder = scratch / "my programs/bin";
  std::filesystem::create_directories(folder);
  for (const char* name : {"cryored", "cryored-reconstruct"})
    std::filesystem::copy_file(std::string(CRYORED_TEST_BIN) + "/" + name, folder + "/" + name);
  files.write();
  // What RELION does: the variable's text, a space, the STAR, handed to the shell.
  const Outcome outcome = run(Words{"sh", "-c",
                                    "eval \"$('" + folder +
                                        "/cryored' env -- --prior gaussian)\"; "
                                        "sh -c \"$RELION_EXTERNAL_RECONSTRUCT_EXECUTABLE " +
                                        files.star() + "\""});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(exists(files.result()));
}

TEST_F(DoctorTest, ConfigShowsValuesAndSources) {
  Invocation invocation;
  invocation.words = {cryored(), "config", "--lambda", "0.5", "--json"};
  invocation.folder = scratch.path();
  write_file(scratch / "cryored.conf", "prior = red\n");
  invocation.environment = {{"CRYORED_THREADS", "3"},
                            {"CRYORED_LAMDA", "1"},
                            {"CRYORED_SIMD", "avx2"},
                            {"CRYORED_RUNTIME_DIR", scratch / "run"}};
  const Outcome outcome = run(invocation);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json json = Json::parse(outcome.out);
  EXPECT_EQ(json["options"]["lambda"]["value"], "0.5");
  EXPECT_EQ(json["options"]["lambda"]["source"], "command line");
  EXPECT_EQ(json["options"]["prior"]["source"], "cryored.conf:1");
  EXPECT_EQ(json["options"]["threads"]["source"], "environment variable CRYORED_THREADS");
  EXPECT_EQ(json["options"]["fsc-threshold"]["source"], "default");
  EXPECT_TRUE(json["options"]["weights"]["value"].is_null());
  EXPECT_EQ(json["unknown_variables"], Json::array({"CRYORED_LAMDA"}));
  EXPECT_EQ(json["config_files"], Json::array({"cryored.conf"}));
}

}  // namespace
}  // namespace cryored_test
