// cryored phase as a library: what comes out, and that ranks, threads and interruptions change nothing.

#include "preprocessing/phase/run.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <thread>

#include "core/base/error.hpp"
#include "core/base/folder_lock.hpp"
#include "core/fourier/fft.hpp"
#include "core/particles/particle_set.hpp"
#include "phase_testing.hpp"
#include "preprocessing/phase/filters.hpp"
#include "preprocessing/phase/normalise.hpp"
#include "tests/cli/process.hpp"

namespace {

using namespace cryored;
using namespace cryored_test;

/// A Wiener filter that fails at its call number `fail_at`.
class Failing : public PhaseMethod {
 public:
  explicit Failing(int fail_at) : fail_at_(fail_at) {}
  void retrieve(ParticleImages& images) override {
    if (++calls_ == fail_at_) throw SystemError("as if killed");
    inner_->retrieve(images);
  }
  std::string description() const override { return inner_->description(); }

 private:
  std::unique_ptr<PhaseMethod> inner_ = make_wiener({}, 1);
  int fail_at_, calls_ = 0;
};

/// A Wiener filter in whose time a folder comes to stand where a stack is to get its name.
class Blocked : public PhaseMethod {
 public:
  explicit Blocked(std::string stack) : stack_(std::move(stack)) {}
  void retrieve(ParticleImages& images) override {
    std::filesystem::remove(stack_);
    std::filesystem::create_directory(stack_);
    inner_->retrieve(images);
  }
  std::string description() const override { return inner_->description(); }

 private:
  std::unique_ptr<PhaseMethod> inner_ = make_wiener({}, 1);
  std::string stack_;
};

class PhaseRunTest : public testing::Test {
 protected:
  PhaseRunTest() {
    // 600 images of 32 x 32 are three pieces, 30 of 48 x 48 one.
    TestParticles what{{{32, 3, 600}, {48, 2, 30}}};
    what.noise = 0.05;
    star_ = write_particles(folder_.path(), what);
  }
  PhaseRunOptions options(const std::string& output) {
    PhaseRunOptions o;
    o.input = star_;
    o.output = folder_ / output;
    o.program_version = "test";
    return o;
  }
  PhaseRunResult wiener(const PhaseRunOptions& o, int threads = 1) { return run_phase(o, *make_wiener({}, threads)); }
  void expect_same(const std::string& a, const std::string& b) {
    for (const char* name : {"phases_1.mrcs", "phases_2.mrcs"})
      EXPECT_EQ(read_file(folder_ / (a + "/" + name)), read_file(folder_ / (b + "/" + name))) << name;
    const StarFile one = read_star(folder_ / (a + "/particles.star")),
                   two = read_star(folder_ / (b + "/particles.star"));
    ASSERT_EQ(one.require("particles").rows(), two.require("particles").rows());
  }
  ScratchFolder folder_{"phase"};
  std::string star_;
};

TEST_F(PhaseRunTest, WritesStacksAndStar) {
  const PhaseRunResult result = wiener(options("out"));
  EXPECT_EQ(result.particles, 630u);
  const ParticleSet raw(star_);
  const StarFile star = read_star(result.star);
  const StarTable &rows = star.require("particles"), &optics = star.require("optics");
  ASSERT_EQ(rows.rows(), 630u);
  EXPECT_EQ(rows.text(1, "rlnImageName"), "000001@" + (folder_ / "out/phases_2.mrcs"));
  EXPECT_EQ(rows.text(1, "rlnReconstructImageName"), raw.particles().text(1, "rlnImageName"));
  EXPECT_EQ(rows.text(629, "rlnMicrographName"), raw.particles().text(629, "rlnMicrographName"));
  EXPECT_EQ(optics.text(1, "rlnCtfDataAreCtfCorrected"), "1");
  const MrcFile stack(folder_ / "out/phases_1.mrcs");
  EXPECT_EQ(stack.header().nz, 600u);
  EXPECT_TRUE(stack.header().is_stack);
  EXPECT_NEAR(stack.header().pixel_size, 3, 1e-6);
  // Matter is bright, and it is the particle: better than the raw image is.
  std::vector<float> phase(32 * 32), before(32 * 32);
  double gained = 0;
  for (int i = 0; i < 20; ++i) {
    stack.read_section(static_cast<std::size_t>(i), phase.data());
    raw.read_image(raw.groups()[0].rows[static_cast<std::size_t>(i)], before.data());
    const Map truth = true_image({}, i);
    const double after = correlation(phase.data(), truth.data.data(), 32 * 32);
    EXPECT_GT(after, 0.5);
    gained += (after - correlation(before.data(), truth.data.data(), 32 * 32)) / 20;
  }
  EXPECT_GT(gained, 0.1);
  EXPECT_TRUE(exists(folder_ / "out/RELION_JOB_EXIT_SUCCESS"));
  EXPECT_FALSE(exists(folder_ / "out/.cryored_phase"));
  const StarFile nodes = read_star(folder_ / "out/RELION_OUTPUT_NODES.star");
  EXPECT_EQ(nodes.require("output_nodes").text(0, "rlnPipeLineNodeName"), result.star);
}

TEST_F(PhaseRunTest, OneRunAtATimeInAFolder) {
  std::filesystem::create_directories(folder_ / "out");
  {
    const FolderLock other(folder_ / "out/.cryored_phase.lock", folder_ / "out", "works in it");
    EXPECT_THROW(wiener(options("out")), SystemError);
    EXPECT_FALSE(exists(folder_ / "out/RELION_JOB_EXIT_FAILURE")) << "the other run's folder";
  }
  EXPECT_EQ(wiener(options("out")).particles, 630u);
}

TEST_F(PhaseRunTest, ARankWithoutItsRankZeroLeavesTheOtherLaunchAlone) {
  // Rank 0 of the second launch was refused by the lock; its rank 1 finds the first launch in the folder.
  const std::string work = folder_ / "out/.cryored_phase";
  std::filesystem::create_directories(work);
  std::ofstream(work + "/start") << "first\ngo\n";
  std::ofstream(work + "/done.1") << "first\n\n";
  PhaseRunOptions o = options("out");
  o.place = {1, 2, 2, "srun"};
  o.rank_timeout = 1;
  EXPECT_THROW(wiener(o), SystemError);
  EXPECT_EQ(read_file(work + "/done.1"), "first\n\n");
  EXPECT_FALSE(exists(folder_ / "out/RELION_JOB_EXIT_FAILURE"));
}

TEST_F(PhaseRunTest, BackgroundIsNormalised) {
  wiener(options("out"));
  std::vector<float> image(32 * 32);
  MrcFile(folder_ / "out/phases_1.mrcs").read_section(3, image.data());
  double sum = 0, square = 0, count = 0;
  for (int y = 0; y < 32; ++y)
    for (int x = 0; x < 32; ++x)
      if (std::hypot(x - 16, y - 16) > 12) {
        const double v = image[static_cast<std::size_t>(y * 32 + x)];
        sum += v, square += v * v, ++count;
      }
  EXPECT_NEAR(sum / count, 0, 1e-5);
  EXPECT_NEAR(std::sqrt(square / count), 1, 1e-5);
}

TEST_F(PhaseRunTest, InterruptedAndResumedIsIdentical) {
  wiener(options("whole"), 2);
  Failing failing(3);
  EXPECT_THROW(run_phase(options("resumed"), failing), SystemError);
  EXPECT_TRUE(exists(folder_ / "resumed/RELION_JOB_EXIT_FAILURE"));
  EXPECT_FALSE(exists(folder_ / "resumed/particles.star"));
  const PhaseRunResult result = wiener(options("resumed"));
  EXPECT_EQ(result.resumed, 512u);
  expect_same("whole", "resumed");
  EXPECT_FALSE(exists(folder_ / "resumed/RELION_JOB_EXIT_FAILURE"));
}

TEST_F(PhaseRunTest, UnfinishedRunOfOtherOptionsIsNotMixedIn) {
  Failing failing(3);
  EXPECT_THROW(run_phase(options("out"), failing), SystemError);
  try {
    run_phase(options("out"), *make_flip(1));
    FAIL();
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("--fresh"), std::string::npos) << error.what();
  }
  PhaseRunOptions fresh = options("out");
  fresh.fresh = true;
  EXPECT_EQ(run_phase(fresh, *make_flip(1)).resumed, 0u);
}

TEST_F(PhaseRunTest, RanksShareTheWorkAndChangeNothing) {
  wiener(options("one"));
  // What an earlier launch of other ranks has left must not confuse this one.
  Failing failing(2);
  EXPECT_THROW(run_phase(options("three"), failing), SystemError);
  write_file(folder_ / "three/.cryored_phase/hello.1", "old\n");
  write_file(folder_ / "three/.cryored_phase/start", "older\ngo\nold\n");
  write_file(folder_ / "three/.cryored_phase/done.2", "older\n\n");
  std::vector<std::thread> ranks;
  std::vector<PhaseRunResult> results(3);
  for (int k = 0; k < 3; ++k)
    ranks.emplace_back([&, k] {
      PhaseRunOptions o = options("three");
      o.place = {k, 3, 3, "test"};
      results[static_cast<std::size_t>(k)] = wiener(o);
    });
  for (std::thread& rank : ranks) rank.join();
  EXPECT_EQ(results[0].particles, 630u);
  EXPECT_EQ(results[0].resumed, 256u);
  expect_same("one", "three");
}

TEST_F(PhaseRunTest, FailureOfOneRankEndsTheJob) {
  poke(folder_ / "stack_1.mrcs", 300, 1, 1, std::numeric_limits<float>::infinity());  // in the second piece
  std::string leader, other;
  std::thread second([&] {
    PhaseRunOptions o = options("out");
    o.place = {1, 2, 2, "test"};
    try {
      wiener(o);
    } catch (const Error& error) {
      other = error.what();
    }
  });
  PhaseRunOptions o = options("out");
  o.place = {0, 2, 2, "test"};
  try {
    wiener(o);
  } catch (const Error& error) {
    leader = error.what();
  }
  second.join();
  EXPECT_NE(other.find("row 331"), std::string::npos) << other;
  EXPECT_NE(leader.find("rank 1"), std::string::npos) << leader;
  EXPECT_TRUE(exists(folder_ / "out/RELION_JOB_EXIT_FAILURE"));
}

TEST_F(PhaseRunTest, BadParticleStopsUnlessItIsToBeSkipped) {
  poke(folder_ / "stack_1.mrcs", 4, 1, 1, std::numeric_limits<float>::quiet_NaN());
  for (std::size_t i = 0; i < 32 * 32; ++i) poke(folder_ / "stack_1.mrcs", 6, i % 32, i / 32, 2.5f);
  EXPECT_THROW(wiener(options("out")), InputError);
  PhaseRunOptions o = options("out");
  o.skip_bad = true;
  const PhaseRunResult result = wiener(o);
  EXPECT_EQ(result.particles, 628u);
  ASSERT_EQ(result.skipped.size(), 2u);
  EXPECT_NE(result.skipped[0].find("row 9"), std::string::npos) << result.skipped[0];
  EXPECT_NE(result.skipped[1].find("constant"), std::string::npos) << result.skipped[1];
  const StarFile star = read_star(result.star);
  EXPECT_EQ(star.require("particles").rows(), 628u);
  EXPECT_NE(read_file(folder_ / "out/skipped.txt").find("NaN"), std::string::npos);
}

TEST_F(PhaseRunTest, WildDefocusConcernsItsParticleOnly) {
  // At 1 A per pixel these want grids of 14,000 and 20,000 pixels.
  const ScratchFolder fine;
  star_ = write_particles(fine.path(), {{{32, 1, 20}}});
  edit_star(star_, "particles", 8, "rlnDefocusU", "7e5");
  edit_star(star_, "particles", 9, "rlnDefocusV", "1e6");
  try {
    wiener(options("out"));
    FAIL();
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("row 9"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("8192 pixels"), std::string::npos) << error.what();
  }
  PhaseRunOptions o = options("out");
  o.skip_bad = true;
  const PhaseRunResult result = wiener(o);
  EXPECT_EQ(result.particles, 18u);
  ASSERT_EQ(result.skipped.size(), 2u);
  EXPECT_NE(result.skipped[0].find("row 9"), std::string::npos) << result.skipped[0];
  EXPECT_NE(result.skipped[1].find("row 10"), std::string::npos) << result.skipped[1];
  // Filters that need no grid take them.
  EXPECT_EQ(run_phase(options("flipped"), *make_flip(1)).particles, 20u);
}

TEST_F(PhaseRunTest, RelionsAbortStopsAndTheNextRunGoesOn) {
  PhaseRunOptions o = options("out");
  o.progress = [&](const PhaseProgress&) { write_file(folder_ / "out/RELION_JOB_ABORT_NOW", ""); };
  EXPECT_TRUE(wiener(o).aborted);
  EXPECT_TRUE(exists(folder_ / "out/RELION_JOB_EXIT_ABORTED"));
  EXPECT_FALSE(exists(folder_ / "out/RELION_JOB_ABORT_NOW"));
  EXPECT_EQ(wiener(options("out")).particles, 630u);
  EXPECT_FALSE(exists(folder_ / "out/RELION_JOB_EXIT_ABORTED"));
}

TEST_F(PhaseRunTest, InputIsNeverOverwritten) {
  wiener(options("out"));
  PhaseRunOptions o = options("out");
  o.input = folder_ / "out/particles.star";
  edit_star(o.input, "optics", 0, "rlnCtfDataAreCtfCorrected", "0");
  edit_star(o.input, "optics", 1, "rlnCtfDataAreCtfCorrected", "0");
  const std::string before = read_file(o.input);
  EXPECT_THROW(wiener(o), UsageError);
  EXPECT_EQ(read_file(o.input), before);
}

TEST_F(PhaseRunTest, InputIsRefusedBeforeAnythingIsWrittenBesideIt) {
  std::filesystem::create_directory(folder_ / "own");
  std::filesystem::copy_file(star_, folder_ / "own/particles.star");
  PhaseRunOptions o = options("own");
  o.input = folder_ / "own/particles.star";
  EXPECT_THROW(wiener(o), UsageError);
  EXPECT_FALSE(exists(folder_ / "own/.cryored_phase"));
  EXPECT_FALSE(exists(folder_ / "own/RELION_JOB_EXIT_FAILURE"));
}

TEST_F(PhaseRunTest, NoStarStandsBesideStacksOfAnotherRun) {
  run_phase(options("out"), *make_flip(1));
  wiener(options("whole"));
  Blocked blocked(folder_ / "out/phases_2.mrcs");
  EXPECT_THROW(run_phase(options("out"), blocked), SystemError);
  EXPECT_TRUE(read_file(folder_ / "out/phases_1.mrcs") == read_file(folder_ / "whole/phases_1.mrcs"));
  EXPECT_FALSE(exists(folder_ / "out/particles.star")) << "it names the images that are gone";
  std::filesystem::remove(folder_ / "out/phases_2.mrcs");
  EXPECT_EQ(wiener(options("out")).resumed, 630u);
  expect_same("whole", "out");
}

TEST_F(PhaseRunTest, FilesOfOthersAreNotReplaced) {
  for (const std::string name : {"particles.star", "skipped.txt"}) {
    const std::string folder = folder_ / ("of_" + name);
    std::filesystem::create_directory(folder);
    std::filesystem::copy_file(star_, folder + "/" + name);
    try {
      wiener(options("of_" + name));
      ADD_FAILURE() << name;
    } catch (const UsageError& error) {
      EXPECT_NE(std::string(error.what()).find(name), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find("move it away"), std::string::npos) << error.what();
    }
    EXPECT_EQ(read_file(folder + "/" + name), read_file(star_));
    EXPECT_FALSE(exists(folder + "/phases_1.mrcs"));
    EXPECT_FALSE(exists(folder + "/.cryored_phase")) << "nothing to go on with";
    EXPECT_FALSE(exists(folder + "/RELION_JOB_EXIT_FAILURE")) << "a mark in the folder of others";
  }
}

TEST_F(PhaseRunTest, FlippedImagesAreMarkedAndNotTakenAgain) {
  PhaseRunOptions o = options("flipped");
  o.ctf = CtfState::flipped;
  o.input = run_phase(o, *make_flip(1)).star;
  const StarFile star = read_star(o.input);
  EXPECT_EQ(star.require("optics").text(0, "rlnCtfDataArePhaseFlipped"), "1");
  EXPECT_EQ(star.require("optics").text(1, "rlnCtfDataArePhaseFlipped"), "1");
  EXPECT_FALSE(star.require("optics").has("rlnCtfDataAreCtfCorrected"));
  o.output = folder_ / "again";
  try {
    run_phase(o, *make_flip(1));
    FAIL();
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("already phase-flipped"), std::string::npos) << error.what();
  }
}

TEST_F(PhaseRunTest, FlippedImagesOfRelion30AreMarkedToo) {
  PhaseRunOptions o = options("flipped");
  TestParticles what{{{32, 3, 8}}};
  what.relion30 = true;
  std::filesystem::create_directory(folder_ / "old");
  o.input = write_particles(folder_ / "old", what);
  o.ctf = CtfState::flipped;
  o.input = run_phase(o, *make_flip(1)).star;
  o.output = folder_ / "again";
  try {
    run_phase(o, *make_flip(1));
    FAIL();
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("already phase-flipped"), std::string::npos) << error.what();
  }
}

TEST_F(PhaseRunTest, UnwritableOutputIsAnError) {
  write_file(folder_ / "file", "");
  PhaseRunOptions o = options("file/out");
  EXPECT_THROW(wiener(o), SystemError);
}

TEST(NormaliseBackground, FlatBackgroundDoesNotBlowUpTheParticle) {
  std::vector<float> image(32 * 32, 5.0f);
  EXPECT_FALSE(normalise_background(image.data(), 32, 12));
  image[16 * 32 + 16] = 6;
  ASSERT_TRUE(normalise_background(image.data(), 32, 12));
  EXPECT_FLOAT_EQ(image[0], 0);
  // One pixel of 1024 has an SD of 1 / 32; a tenth of that divides.
  EXPECT_NEAR(image[16 * 32 + 16], 320, 1);
  EXPECT_THROW(normalise_background(image.data(), 32, 30), UsageError);
}

// A rank that works longer than the time-out is waited for; one that is gone is not.
TEST(RankMeeting, TellsSlowRanksFromLostOnes) {
  const ScratchFolder folder{"ranks"};
  constexpr double kTimeout = 3;
  RankMeeting leader({0, 3, 3, "test"}, folder.path(), kTimeout);
  auto slow = std::make_unique<RankMeeting>(RankPlace{1, 3, 3, "test"}, folder.path(), kTimeout);
  auto lost = std::make_unique<RankMeeting>(RankPlace{2, 3, 3, "test"}, folder.path(), kTimeout);
  std::thread one([&] { slow->begin(); }), two([&] { lost->begin(); });
  leader.begin();
  one.join();
  two.join();
  const auto ask_for = [&](double seconds) {
    const auto start = std::chrono::steady_clock::now();
    while (std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() < seconds) {
      if (leader.others_finished()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return false;
  };
  EXPECT_FALSE(ask_for(2 * kTimeout));
  const std::string here = ", pid " + std::to_string(getpid()) + ")";
  EXPECT_EQ(leader.waits_for().rfind("rank 1 (", 0), 0u) << leader.waits_for();
  EXPECT_NE(leader.waits_for().find(here + ", rank 2 ("), std::string::npos) << leader.waits_for();
  slow->finish();
  EXPECT_FALSE(leader.others_finished());
  EXPECT_EQ(leader.waits_for().rfind("rank 2 (", 0), 0u) << leader.waits_for();
  lost.reset();
  try {
    ask_for(100 * kTimeout);
    FAIL() << "rank 0 waits for a lost one";
  } catch (const SystemError& error) {
    const std::string text = error.what();
    EXPECT_EQ(text.rfind("rank 2 (", 0), 0u) << text;
    EXPECT_NE(text.find(here + " of 3"), std::string::npos) << text;
    EXPECT_NE(text.find("no sign of life for 3 s"), std::string::npos) << text;
  }
}

TEST(RankMeeting, NamesTheRanksThatNeverCame) {
  const ScratchFolder folder{"ranks"};
  try {
    RankMeeting({0, 3, 3, "test"}, folder.path(), 0.2).begin();
    FAIL();
  } catch (const SystemError& error) {
    EXPECT_NE(std::string(error.what()).find("no word of rank 1, 2 of 3"), std::string::npos) << error.what();
  }
  try {
    RankMeeting({1, 3, 3, "test"}, folder.path(), 0.2).begin();
    FAIL();
  } catch (const SystemError& error) {
    EXPECT_NE(std::string(error.what()).find("test rank 1: rank 0"), std::string::npos) << error.what();
  }
}

TEST(RankPlace, ReadsLaunchers) {
  const auto place = [](const std::map<std::string, std::string>& variables) {
    return rank_place([variables](const std::string& name) {
      const auto found = variables.find(name);
      return found == variables.end() ? std::string() : found->second;
    });
  };
  EXPECT_EQ(place({}).size, 1);
  const RankPlace open =
      place({{"OMPI_COMM_WORLD_RANK", "3"}, {"OMPI_COMM_WORLD_SIZE", "8"}, {"OMPI_COMM_WORLD_LOCAL_SIZE", "4"}});
  EXPECT_EQ(open.rank, 3);
  EXPECT_EQ(open.size, 8);
  EXPECT_EQ(open.local_size, 4);
  EXPECT_EQ(place({{"PMI_RANK", "1"}, {"PMI_SIZE", "2"}}).rank, 1);
  // A batch script that runs the program without srun is one process.
  EXPECT_EQ(place({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "8"}}).size, 1);
  EXPECT_EQ(place({{"SLURM_PROCID", "5"}, {"SLURM_STEP_NUM_TASKS", "8"}}).rank, 5);
  EXPECT_THROW(place({{"PMI_RANK", "2"}, {"PMI_SIZE", "2"}}), UsageError);
  EXPECT_THROW(place({{"PMI_RANK", "x"}, {"PMI_SIZE", "2"}}), UsageError);
}

TEST(PhaseFilters, FlipTakesTheSignAway) {
  // Noiseless: after the flip all of a projection's frequencies have their own sign again.
  const TestGroup group;
  const Map truth = true_image(group, 0);
  CtfParameters parameters;
  parameters.defocus_u = parameters.defocus_v = 12000;
  const Ctf ctf(parameters);
  HalfTransform half = forward(truth), expected = half;
  const std::vector<float> values = ctf_values(ctf, group.box, group.pixel_size);
  for (std::size_t i = 0; i < half.size(); ++i) {
    half.data[i] *= values[i];
    expected.data[i] *= std::abs(values[i]);
  }
  const Map image = inverse(std::move(half), group.box), flipped = inverse(std::move(expected), group.box);
  ParticleImages images{group.box, group.pixel_size, 40, {parameters}, {image.data.begin(), image.data.end()}};
  make_flip(1)->retrieve(images);
  for (std::size_t i = 0; i < flipped.size(); ++i) EXPECT_NEAR(images.pixels[i], flipped.data[i], 1e-6);
}

}  // namespace
