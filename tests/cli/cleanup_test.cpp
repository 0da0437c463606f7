// --cleanup, from the option to what is left on disk; which files count is tested in tests/formats.

#include <nlohmann/json.hpp>

#include "tests/cli/reconstruct_fixture.hpp"

namespace cryored_test {
namespace {

using Json = nlohmann::json;

class CleanupOption : public ReconstructTest {
 protected:
  CleanupOption() {
    // Iterations 1 to 3 as RELION leaves them.
    for (int i = 1; i <= 3; ++i) {
      const std::string root = "run_it00" + std::to_string(i);
      for (const char* ending : {"_optimiser", "_sampling", "_data", "_half1_model", "_half2_model"})
        write_file(scratch / (root + ending + ".star"), "data_x\n");
      files.stem = root + "_half1_class001";
      files.write();
      write_file(files.result(), "map");
    }
    files.stem = "run_it004_half1_class001";
    files.write();
  }
  std::string weight(int iteration) const {
    return scratch / ("run_it00" + std::to_string(iteration) + "_half1_class001_external_reconstruct_weight.mrc");
  }
  Outcome reconstruct(const std::vector<std::string>& words) const {
    std::vector<std::string> all{"--prior", "gaussian", "--threads", "1"};
    all.insert(all.end(), words.begin(), words.end());
    return run(call(all));
  }
};

TEST_F(CleanupOption, RemovesWhatItReportsAndOnlyWhenAsked) {
  ASSERT_EQ(reconstruct({}).code, 0);
  EXPECT_TRUE(exists(weight(1)));
  EXPECT_TRUE(Json::parse(read_file(files.record()))["cleanup"].is_null());

  const Outcome outcome = reconstruct({"--cleanup"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("removed 6 input files of earlier iterations"), std::string::npos) << outcome.out;
  const Json entry = Json::parse(read_file(files.record()))["cleanup"];
  EXPECT_EQ(entry["kept_from_iteration"], 3);
  EXPECT_EQ(entry["removed"].size(), 6u);
  EXPECT_EQ(entry["removed"][2], "run_it001_half1_class001_external_reconstruct_weight.mrc");
  EXPECT_EQ(entry["bytes"], 6 * (1024 + 4 * 17 * 32 * 32));
  EXPECT_EQ(entry["notes"].size(), 0u);
  EXPECT_FALSE(exists(weight(1)) || exists(weight(2)));
  EXPECT_TRUE(exists(weight(3)) && exists(weight(4)));
  EXPECT_TRUE(exists(scratch / "run_it001_half1_class001_external_reconstruct.mrc")) << "maps stay";
  EXPECT_EQ(reconstruct({"--cleanup"}).out.find("removed"), std::string::npos) << "nothing left to say";
}

TEST_F(CleanupOption, AFailedRunRemovesNothing) {
  patch_float(files.file("_weight.mrc"), 5, -1e6f);
  EXPECT_EQ(reconstruct({"--cleanup"}).code, 1);
  EXPECT_TRUE(exists(weight(1)) && exists(weight(2)));
}

TEST_F(CleanupOption, FromTheEnvironment) {
  Invocation invocation = call({"--prior", "gaussian", "--threads", "1"});
  invocation.environment["CRYORED_CLEANUP"] = "yes";
  ASSERT_EQ(run(invocation).code, 0);
  EXPECT_FALSE(exists(weight(2)));
}

TEST_F(CleanupOption, WhatStaysIsNoted) {
  const std::string linked = weight(1);
  ASSERT_EQ(run(std::vector<std::string>{"rm", linked}).code, 0);
  ASSERT_EQ(run(std::vector<std::string>{"ln", "-s", "/dev/null", linked}).code, 0);
  const Outcome outcome = reconstruct({"--cleanup"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("a symbolic link"), std::string::npos) << outcome.out;
  EXPECT_EQ(Json::parse(read_file(files.record()))["cleanup"]["notes"][0],
            "run_it001_half1_class001_external_reconstruct_weight.mrc: a symbolic link");
}

}  // namespace
}  // namespace cryored_test
