// Job folders and logs as RELION 3.1 writes them, cut down to what is read.
#include "evaluation/relion_files.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "core/base/error.hpp"
#include "tests/evaluation/job_files.hpp"

namespace fs = std::filesystem;

namespace cryored {
namespace {

class JobFolder : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) /
              ("job_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::remove_all(folder_);
    fs::create_directories(folder_ / "whole");
    write_job_files(folder_ / "whole");
  }
  void put_whole(const std::string& kind, const std::string& name) {
    fs::copy_file(folder_ / "whole" / kind, folder_ / name, fs::copy_options::overwrite_existing);
  }
  void put(const std::string& name, const std::string& text = "") { std::ofstream(folder_ / name) << text; }
  void put_iteration(const std::string& root) {
    for (const char* kind : {"optimiser.star", "data.star", "sampling.star"}) put_whole(kind, root + "_" + kind);
    for (const char* half : {"_half1", "_half2"}) {
      put_whole("model.star", root + half + "_model.star");
      put_whole("map.mrc", root + half + "_class001.mrc");
    }
  }
  void put_joined(const std::string& root) {
    for (const char* kind : {"data.star", "sampling.star", "model.star"}) put_whole(kind, root + "_" + kind);
    put_whole("map.mrc", root + "_class001.mrc");
  }
  void cut(const std::string& name, std::uintmax_t bytes) {
    fs::resize_file(folder_ / name, fs::file_size(folder_ / name) - bytes);
  }
  fs::path folder_;
};

TEST_F(JobFolder, FinishedIterationsAreCompleteAndNewest) {
  put_iteration("run_it000");
  put_iteration("run_it001");
  put_iteration("run_it002");
  put_iteration("run_ct1_it002");
  put_iteration("run_ct1_it003");
  put_iteration("run_ct1_it004");
  fs::remove(folder_ / "run_ct1_it004_data.star");  // interrupted while writing
  put("run_it00x_optimiser.star");
  put("other_it009_optimiser.star");
  const auto found = finished_iterations(folder_.string());
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found[0].iteration, 1);
  EXPECT_EQ(fs::path(found[0].root).filename(), "run_it001");
  EXPECT_EQ(fs::path(found[1].root).filename(), "run_ct1_it002");
  EXPECT_EQ(fs::path(found[2].root).filename(), "run_ct1_it003");
  EXPECT_EQ(fs::path(found[2].record(2)).filename(), "run_ct1_it003_half2_class001_external_reconstruct_cryored.json");
  EXPECT_EQ(finished_iterations(folder_.string(), 2).size(), 1u);
  EXPECT_FALSE(joined_result(folder_.string()));
  EXPECT_THROW(finished_iterations((folder_ / "none").string()), SystemError);
}

TEST_F(JobFolder, WhatAFullDiskLeftIsNotFinished) {
  put_iteration("run_it001");
  const std::pair<const char*, std::uintmax_t> cuts[] = {
      {"_data.star", 2},  // the last row is whole, the end is missing
      {"_data.star", 12},       {"_optimiser.star", 20},    {"_sampling.star", 30},
      {"_half2_model.star", 5}, {"_half1_class001.mrc", 4}, {"_half2_class001.mrc", 1100}};
  for (const auto& [name, bytes] : cuts) {
    put_iteration("run_it002");
    ASSERT_EQ(finished_iterations(folder_.string()).size(), 2u);
    cut(std::string("run_it002") + name, bytes);
    EXPECT_EQ(finished_iterations(folder_.string()).size(), 1u) << name << " " << bytes;
  }
  put("run_it002_data.star");
  EXPECT_EQ(finished_iterations(folder_.string()).back().iteration, 1);
  // Begun again from the iteration before: the whole one counts, not the newest.
  put_iteration("run_it002");
  put_iteration("run_ct1_it002");
  cut("run_ct1_it002_data.star", 2);
  EXPECT_EQ(fs::path(finished_iterations(folder_.string()).back().root).filename(), "run_it002");

  put_joined("run");
  ASSERT_TRUE(joined_result(folder_.string()));
  cut("run_class001.mrc", 4);
  EXPECT_FALSE(joined_result(folder_.string()));
}

TEST_F(JobFolder, JoinedResultNeedsItsFiles) {
  put_whole("map.mrc", "run_class001.mrc");
  EXPECT_FALSE(joined_result(folder_.string()));
  put_joined("run");
  ASSERT_TRUE(joined_result(folder_.string()));
  EXPECT_EQ(fs::path(*joined_result(folder_.string())).filename(), "run");
  put_joined("run_ct3");
  EXPECT_EQ(fs::path(*joined_result(folder_.string())).filename(), "run_ct3");
}

TEST_F(JobFolder, DenoisedJoinedMapIsTheNewestAndOfNoHalf) {
  for (const char* name :
       {"run_it004_class001_external_reconstruct_denoised.mrc",
        "run_ct3_it011_class001_external_reconstruct_denoised.mrc",
        "run_it012_half1_class001_external_reconstruct_denoised.mrc", "run_it013_class001_external_reconstruct.mrc"})
    put(name);
  EXPECT_FALSE(denoised_joined_map(folder_.string()));  // not converged
  put_joined("run");
  EXPECT_EQ(fs::path(*denoised_joined_map(folder_.string())).filename(),
            "run_ct3_it011_class001_external_reconstruct_denoised.mrc");
}

TEST_F(JobFolder, FactsComeFromTheStarFiles) {
  const std::string model =
      "\n# version 30001\n\ndata_model_general\n\n_rlnReferenceDimensionality   3\n"
      "_rlnCurrentResolution  10.5\n_rlnCurrentImageSize 4\n_rlnPixelSize 2.5\n_rlnPaddingFactor 2\n_rlnAveragePmax "
      "0.75\n\n"
      "data_model_class_1\n\nloop_\n_rlnSpectralIndex #1\n_rlnGoldStandardFsc #2\n0 1.0\n1 0.9\n2 0.1\n";
  put("m.star", model);
  put("s.star", "data_sampling_general\n\n_rlnHealpixOrder 3\n");
  const std::string m = (folder_ / "m.star").string(), s = (folder_ / "s.star").string();
  const IterationFacts facts = read_facts(m, s);
  EXPECT_EQ(facts.healpix_order, 3);
  EXPECT_EQ(facts.current_size, 4);
  EXPECT_DOUBLE_EQ(facts.pixel_size, 2.5);
  EXPECT_DOUBLE_EQ(facts.padding, 2);
  EXPECT_DOUBLE_EQ(facts.resolution, 10.5);
  EXPECT_EQ(facts.half_fsc, (std::vector<double>{1.0, 0.9, 0.1}));
  put("m.star", model.substr(0, model.find("data_model_class_1")));
  try {
    read_facts(m, s);
    FAIL() << "a missing block went unnoticed";
  } catch (const InputError& e) {
    EXPECT_NE(std::string(e.what()).find("model_class_1"), std::string::npos) << e.what();
  }
}

TEST(Log, TellsThePhaseAndTheBar) {
  const std::string start = "RELION version: 3.1.3 \nPrecision: BASE=double\n";
  EXPECT_EQ(relion_version_in(start), "3.1.3");
  EXPECT_EQ(relion_version_in("RELION version: 3.1.3 \nPrecision: BASE=double, VECTOR-ACC=single \n"),
            "3.1.3 VECTOR-ACC=single");
  EXPECT_EQ(relion_version_in("nothing"), "");
  EXPECT_EQ(parse_log(start).phase, "start");
  EXPECT_EQ(parse_log(start).iteration, 0);
  std::string log =
      start + " Estimating accuracies in the orientational assignment ... \n   1/   2 sec ....~~(,_,\">\r";
  EXPECT_EQ(parse_log(log).phase, "accuracy");
  log += " Expectation iteration 2\n000/??? sec ~~(,_,\">                   [oo]";
  LogProgress p = parse_log(log);
  EXPECT_EQ(p.phase, "expectation");
  EXPECT_EQ(p.iteration, 2);
  EXPECT_EQ(p.total, 0);
  log += "\r   5/  38 sec .......~~(,_,\">\r0.22/2.40 min .....~~(,_,\">";
  p = parse_log(log);
  EXPECT_DOUBLE_EQ(p.elapsed, 0.22 * 60);
  EXPECT_DOUBLE_EQ(p.total, 2.4 * 60);
  p = parse_log(log + "\r1.10/1.50 hrs .....~~(,_,\">");
  EXPECT_DOUBLE_EQ(p.total, 5400);
  p = parse_log(log + "\n Maximization ...\n");
  EXPECT_EQ(p.phase, "maximization");
  EXPECT_EQ(p.iteration, 2);
  EXPECT_EQ(p.total, 0);  // the bar before belongs to the expectation
}

}  // namespace
}  // namespace cryored
