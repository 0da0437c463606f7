// The program cryored phase, the way a user, mpirun and RELION's External job run it.

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <limits>
#include <thread>

#include "core/formats/mrc.hpp"
#include "core/formats/star.hpp"
#include "phase_testing.hpp"
#include "preprocessing/ranks.hpp"
#include "tests/cli/process.hpp"

namespace {

using namespace cryored;
using namespace cryored_test;

const std::string kProgram = std::string(CRYORED_TEST_BIN) + "/cryored";

class PhaseProgram : public testing::Test {
 protected:
  Invocation phase(std::vector<std::string> more) {
    Invocation invocation;
    invocation.words = {kProgram, "phase"};
    invocation.words.insert(invocation.words.end(), more.begin(), more.end());
    invocation.folder = folder_.path();
    return invocation;
  }
  bool found(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }
  ScratchFolder folder_{"phase"};
};

TEST_F(PhaseProgram, ServesAsRelionsExternalJob) {
  TestParticles what{{{32, 3, 40}}};
  what.relion30 = true;
  write_particles(folder_.path(), what);
  const Outcome outcome =
      run(phase({"--o", "External/job007/", "--in_parts", "in.star", "--method", "flip", "--j", "1"}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(found(outcome.out, "--ctf_phase_flipped")) << outcome.out;
  EXPECT_TRUE(exists(folder_ / "External/job007/RELION_JOB_EXIT_SUCCESS"));
  const StarFile star = read_star(folder_ / "External/job007/particles.star");
  ASSERT_EQ(star.tables.size(), 1u);
  EXPECT_EQ(star.tables[0].text(0, "rlnImageName"), "000001@External/job007/phases_1.mrcs");
  const StarFile nodes = read_star(folder_ / "External/job007/RELION_OUTPUT_NODES.star");
  EXPECT_EQ(nodes.require("output_nodes").text(0, "rlnPipeLineNodeTypeLabel"), "ParticleGroupMetadata.star.relion");
}

TEST_F(PhaseProgram, SaysWhetherRelionSeesThatTheCtfIsCorrected) {
  for (const bool relion30 : {false, true}) {
    TestParticles what{{{32, 3, 40}}};
    what.relion30 = relion30;
    write_particles(folder_.path(), what);
    const Outcome outcome =
        run(phase({"--i", "in.star", "--o", relion30 ? "30" : "31", "--method", "wiener", "--threads", "1"}));
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_TRUE(found(outcome.out, "run RELION without --ctf")) << outcome.out;
    EXPECT_EQ(found(outcome.out, "sees rlnCtfDataAreCtfCorrected"), !relion30) << "without data_optics it does not";
  }
}

TEST_F(PhaseProgram, BadInputIsNamedAndMarkedAsFailure) {
  write_particles(folder_.path());
  edit_star(folder_ / "in.star", "particles", 6, "rlnImageName", "000021@stack_1.mrcs");
  const Outcome outcome = run(phase({"--i", "in.star", "--o", "out"}));
  EXPECT_EQ(outcome.code, 1);
  EXPECT_TRUE(found(outcome.err, "row 7")) << outcome.err;
  EXPECT_TRUE(exists(folder_ / "out/RELION_JOB_EXIT_FAILURE"));
  EXPECT_FALSE(exists(folder_ / "out/RELION_JOB_EXIT_SUCCESS"));
  const Outcome skipped = run(phase({"--i", "in.star", "--o", "out", "--skip-bad"}));
  EXPECT_EQ(skipped.code, 0) << skipped.err;
  EXPECT_TRUE(found(skipped.err, "skipped: ")) << skipped.err;
  EXPECT_EQ(read_star(folder_ / "out/particles.star").require("particles").rows(), 19u);
}

TEST_F(PhaseProgram, MisuseExitsWithTwo) {
  write_particles(folder_.path());
  EXPECT_EQ(run(phase({"--o", "out"})).code, 2);
  EXPECT_EQ(run(phase({"--i", "in.star"})).code, 2);
  EXPECT_EQ(run(phase({"--i", "in.star", "--in_parts", "in.star", "--o", "out"})).code, 2);
  EXPECT_EQ(run(phase({"--i", "in.star", "--o", "out", "--method", "magic"})).code, 2);
}

TEST_F(PhaseProgram, UnwritableOutputIsReported) {
  write_particles(folder_.path());
  Invocation full = phase({"--i", "in.star", "--o", "out"});
  full.file_size_limit = 20000;  // the stack takes 83 kB
  const Outcome outcome = run(full);
  EXPECT_EQ(outcome.code, 1);
  EXPECT_TRUE(found(outcome.err, "phases_1.mrcs")) << outcome.err;
  EXPECT_TRUE(found(outcome.err, "ulimit")) << outcome.err;
  Invocation forbidden = phase({"--i", "in.star", "--o", "closed/out"});
  std::filesystem::create_directory(folder_ / "closed");
  std::filesystem::permissions(folder_ / "closed", std::filesystem::perms::owner_read);
  forbidden.obey_permissions = true;
  const Outcome closed = run(forbidden);
  std::filesystem::permissions(folder_ / "closed", std::filesystem::perms::owner_all);
  EXPECT_EQ(closed.code, 1);
  EXPECT_TRUE(found(closed.err, "closed/out")) << closed.err;
}

TEST_F(PhaseProgram, KilledAndResumedIsIdentical) {
  write_particles(folder_.path(), {{{64, 2, 800}}});
  ASSERT_EQ(run(phase({"--i", "in.star", "--o", "whole", "--threads", "2"})).code, 0);
  Process victim(phase({"--i", "in.star", "--o", "killed", "--threads", "1"}));
  // Killed in the middle where the machine lets us: after it has begun, before it has ended.
  for (int i = 0; i < 2000 && !exists(folder_ / "killed/.cryored_phase/plan.json"); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  victim.send(SIGKILL);
  victim.wait();
  const Outcome again = run(phase({"--i", "in.star", "--o", "killed", "--threads", "1"}));
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(read_file(folder_ / "whole/phases_1.mrcs"), read_file(folder_ / "killed/phases_1.mrcs"));
  EXPECT_FALSE(exists(folder_ / "killed/.cryored_phase"));
}

TEST_F(PhaseProgram, RanksOfMpirunGiveTheSame) {
  if (access("/usr/bin/mpirun", X_OK) != 0) GTEST_SKIP() << "no mpirun on this machine";
  write_particles(folder_.path(), {{{48, 2, 700}}});
  ASSERT_EQ(run(phase({"--i", "in.star", "--o", "one"})).code, 0);
  Invocation ranks = phase({"--i", "in.star", "--o", "two", "--threads", "1"});
  ranks.words.insert(ranks.words.begin(), {"/usr/bin/mpirun", "--allow-run-as-root", "--oversubscribe", "-n", "2"});
  const Outcome outcome = run(ranks);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(read_file(folder_ / "one/phases_1.mrcs"), read_file(folder_ / "two/phases_1.mrcs"));
  EXPECT_TRUE(found(outcome.err, "700 of 700")) << outcome.err;
  // A fault in one rank ends them all.
  poke(folder_ / "stack_1.mrcs", 300, 1, 1, std::numeric_limits<float>::quiet_NaN());
  ranks.words[std::find(ranks.words.begin(), ranks.words.end(), "two") - ranks.words.begin()] = "three";
  const Outcome bad = run(ranks);
  EXPECT_NE(bad.code, 0);
  EXPECT_TRUE(found(bad.err, "row 301")) << bad.err;
}

#ifdef CRYORED_TEST_PHASE_WEIGHTS
TEST_F(PhaseProgram, NetworkResumesAndSharesItsWorkBitForBit) {
  write_particles(folder_.path(), {{{48, 2, 950}}});
  const auto with = [&](const std::string& out, const std::string& threads) {
    return phase({"--i", "in.star", "--o", out, "--method", "pinn", "--weights", CRYORED_TEST_PHASE_WEIGHTS, "--device",
                  "cpu", "--threads", threads});
  };
  const Outcome whole = run(with("whole", "2"));
  ASSERT_EQ(whole.code, 0) << whole.err;
  EXPECT_TRUE(found(whole.out, "test-phase")) << whole.out;
  Process victim(with("killed", "1"));
  // After its first piece, which is on the disk then, before its second one where the machine lets us.
  for (int i = 0; i < 6000 && !exists(folder_ / "killed/.cryored_phase/plan.json"); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  victim.send(SIGKILL);
  victim.wait();
  const Outcome again = run(with("killed", "1"));
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(read_file(folder_ / "whole/phases_1.mrcs"), read_file(folder_ / "killed/phases_1.mrcs"));
  if (access("/usr/bin/mpirun", X_OK) != 0) GTEST_SKIP() << "no mpirun on this machine";
  Invocation ranks = with("two", "1");
  ranks.words.insert(ranks.words.begin(), {"/usr/bin/mpirun", "--allow-run-as-root", "--oversubscribe", "-n", "2"});
  const Outcome outcome = run(ranks);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(read_file(folder_ / "whole/phases_1.mrcs"), read_file(folder_ / "two/phases_1.mrcs"));
}

TEST_F(PhaseProgram, WeightsOfTheNetworkThatCannotServeAreNamed) {
  write_particles(folder_.path());
  const auto with = [&](const std::string& file) {
    return run(phase({"--i", "in.star", "--o", "out", "--method", "pinn", "--device", "cpu", "--weights", file}));
  };
  const Outcome missing = with("none.crw");
  EXPECT_EQ(missing.code, 1);
  EXPECT_TRUE(found(missing.err, "none.crw") && found(missing.err, "cryored weights")) << missing.err;
  std::string bytes = read_file(CRYORED_TEST_PHASE_WEIGHTS);
  bytes[bytes.size() - 40] ^= 1;
  write_file(folder_ / "damaged.crw", bytes);
  const Outcome damaged = with("damaged.crw");
  EXPECT_EQ(damaged.code, 1);
  EXPECT_TRUE(found(damaged.err, "damaged.crw")) << damaged.err;
  EXPECT_FALSE(exists(folder_ / "out/particles.star"));
}
#endif

TEST_F(PhaseProgram, ALostRankEndsTheJobAndTheNextRunGoesOn) {
  write_particles(folder_.path(), {{{48, 2, 1000}}});  // two pieces: one for each rank
  ASSERT_EQ(run(phase({"--i", "in.star", "--o", "one", "--threads", "1"})).code, 0);
  Invocation ranks = phase({"--i", "in.star", "--o", "two", "--threads", "1", "--rank-timeout", "5"});
  ranks.environment["OMPI_COMM_WORLD_RANK"] = "0";
  ranks.environment["OMPI_COMM_WORLD_SIZE"] = "2";
  Process leader(ranks);
  const std::string work = folder_ / "two/.cryored_phase";
  for (int i = 0; i < 2000 && !exists(work); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  // Rank 1 comes, begins, and is never heard of again.
  RankMeeting({1, 2, 2, "test"}, work, 60).begin();
  const Outcome outcome = leader.wait();
  EXPECT_EQ(outcome.code, 1);
  EXPECT_TRUE(found(outcome.err, "rank 1 (")) << outcome.err;
  EXPECT_TRUE(found(outcome.err, ", pid " + std::to_string(getpid()) + ") of 2")) << outcome.err;
  EXPECT_TRUE(found(outcome.err, "no sign of life for 5 s")) << outcome.err;
  EXPECT_TRUE(exists(folder_ / "two/RELION_JOB_EXIT_FAILURE"));
  const Outcome again = run(phase({"--i", "in.star", "--o", "two", "--threads", "1"}));
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(read_file(folder_ / "one/phases_1.mrcs"), read_file(folder_ / "two/phases_1.mrcs"));
}

// Two-dimensional classes, a refinement in 3D and a reconstruction, with the options that docs/phase.md names.
TEST_F(PhaseProgram, RelionRunsTheResultAsItIs) {
  if (access("/usr/bin/relion_refine", X_OK) != 0) GTEST_SKIP() << "no RELION on this machine";
  write_particles(folder_.path(), {{{32, 3, 40}}});
  StarFile star = read_star(folder_ / "in.star");
  StarTable& table = star.require("particles");
  for (const char* label : {"rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi", "rlnOriginXAngst", "rlnOriginYAngst"})
    table.add_column(label, "0");
  for (std::size_t row = 0; row < table.rows(); ++row) {
    table.set(row, "rlnAngleRot", std::to_string(37 * row % 360));
    table.set(row, "rlnAngleTilt", std::to_string(13 * row % 180));
  }
  write_star(folder_ / "in.star", star);
  ASSERT_EQ(run(phase({"--i", "in.star", "--o", "out"})).code, 0);
  const auto relion = [&](std::vector<std::string> words) {
    Invocation invocation;
    invocation.words = std::move(words);
    invocation.folder = folder_.path();
    const Outcome outcome = run(invocation);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return outcome;
  };
  relion({"/usr/bin/relion_reconstruct", "--i", "out/particles.star", "--o", "out/map.mrc"});
  EXPECT_EQ(read_mrc_header(folder_ / "out/map.mrc").nx, 32u);
  const std::vector<std::string> common = {"/usr/bin/relion_refine",
                                           "--i",
                                           "out/particles.star",
                                           "--iter",
                                           "1",
                                           "--particle_diameter",
                                           "60",
                                           "--offset_range",
                                           "2",
                                           "--offset_step",
                                           "2",
                                           "--norm",
                                           "--scale"};
  const auto with = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words = common;
    words.insert(words.end(), more.begin(), more.end());
    return relion(words);
  };
  with({"--o", "out/class2d", "--K", "2", "--psi_step", "24"});
  EXPECT_EQ(read_mrc_header(folder_ / "out/class2d_it001_classes.mrcs").nz, 2u);
  with({"--o", "out/class3d", "--ref", "out/map.mrc", "--ini_high", "20", "--healpix_order", "0", "--firstiter_cc"});
  // RELION kept the rows, and with them the way back to the raw images.
  const StarFile data = read_star(folder_ / "out/class3d_it001_data.star");
  EXPECT_EQ(data.require("particles").text(3, "rlnReconstructImageName"), "000004@" + (folder_ / "stack_1.mrcs"));
}

}  // namespace
