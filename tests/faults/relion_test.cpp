// Real RELION through an auto-started daemon: ranks killed in the middle of an iteration, daemons killed, --continue.

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "tests/faults/faults.hpp"
#include "tests/gaussian/particles.hpp"

namespace cryored_test {
namespace {

namespace fs = std::filesystem;

class FaultsLongRelion : public FaultTest {
 protected:
  /// A refinement of three ranks; `words` begin it or continue it.
  Invocation refine(const std::vector<std::string>& words) const {
    Invocation invocation;
    invocation.words = {"mpirun", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "-n",
                        "3",      "relion_refine_mpi"};
    invocation.words.insert(invocation.words.end(), words.begin(), words.end());
    for (const char* word : {"--j", "1", "--pool", "10", "--preread_images", "--dont_combine_weights_via_disc"})
      invocation.words.emplace_back(word);
    invocation.folder = scratch.path();
    // Long enough that a kill meets requests that are being computed.
    invocation.environment = {
        {"RELION_EXTERNAL_RECONSTRUCT_EXECUTABLE", plugin() + " --prior red --weights builtin:wait=1 --threads 1"},
        {"CRYORED_RUNTIME_DIR", folder_of_daemon()},
        {"CRYORED_NO_DAEMON", "no"},
        {"OMP_NUM_THREADS", "1"}};
    invocation.timeout = 600;
    return invocation;
  }
  static std::vector<pid_t> processes(const std::string& words) {
    std::vector<pid_t> found;
    for (const pid_t pid : descendants())
      if (command_line(pid).rfind(words, 0) == 0) found.push_back(pid);
    return found;
  }
  std::vector<std::string> named(const std::string& ending) const {
    std::vector<std::string> found;
    for (const auto& name : scratch.names())
      if (name.size() > ending.size() && name.compare(name.size() - ending.size(), ending.size(), ending) == 0)
        found.push_back(name);
    return found;
  }
};

TEST_F(FaultsLongRelion, KilledInTheMiddleAndContinued) {
  if (!cryored::have_program("mpirun") || !cryored::have_program("relion_refine_mpi"))
    GTEST_SKIP() << "RELION is not installed (Debian package relion)";
  cryored::write_particles(scratch.path(), 32, 60, 3);
  constexpr int last = 6;
  std::vector<std::string> words{"--i",
                                 "particles.star",
                                 "--o",
                                 "./run",
                                 "--ref",
                                 "reference.mrc",
                                 "--ini_high",
                                 "20",
                                 "--auto_refine",
                                 "--split_random_halves",
                                 "--low_resol_join_halves",
                                 "40",
                                 "--particle_diameter",
                                 "80",
                                 "--healpix_order",
                                 "0",
                                 "--auto_local_healpix_order",
                                 "2",
                                 "--offset_range",
                                 "2",
                                 "--offset_step",
                                 "2",
                                 "--sym",
                                 "C1",
                                 "--norm",
                                 "--scale",
                                 "--firstiter_cc",
                                 "--pad",
                                 "1",
                                 "--random_seed",
                                 "1",
                                 "--external_reconstruct",
                                 "--auto_iter_max",
                                 std::to_string(last)};
  int killed_ranks = 0, killed_daemons = 0, orphans = 0, published_late = 0, runs = 0;
  bool ended = false;
  for (int kills = 0; !ended && runs < 12; ++runs) {
    Process run(refine(words));
    if (kills++ < 5) {
      // Into the next reconstruction, or (every other time) into what RELION does before it.
      for (int i = 0; i < 60000 && processes(plugin()).empty() && !processes("mpirun").empty(); ++i) sleep_ms(5);
      sleep_ms(kills % 2 == 0 ? between(0, 900) : between(1500, 4000));
      if (kills == 2)
        for (const pid_t pid : daemons()) killed_daemons += kill(pid, SIGKILL) == 0;
      for (const pid_t pid : processes("relion_refine_mpi")) killed_ranks += kill(pid, SIGKILL) == 0;
      run.wait();
      for (int i = 0; i < 1000 && !processes(plugin()).empty(); ++i) sleep_ms(5);
      orphans += static_cast<int>(processes(plugin()).size());
      if (!status().is_null()) settled();
      const auto before = named("_external_reconstruct.mrc");
      sleep_ms(1500);  // as long as a map takes
      published_late += static_cast<int>(named("_external_reconstruct.mrc").size()) - static_cast<int>(before.size());
    } else {
      const Outcome outcome = run.wait();
      EXPECT_EQ(outcome.code, 0) << outcome.out.substr(outcome.out.size() > 3000 ? outcome.out.size() - 3000 : 0)
                                 << outcome.err;
      ended = true;
    }
    const auto states = named("_optimiser.star");
    // By iteration: "run_it002_", "run_ct2_it003_".
    std::string newest;
    int iteration = -1;
    for (const auto& name : states) {
      const auto at = name.rfind("_it");
      const int number = at == std::string::npos ? -1 : std::stoi(name.substr(at + 3, 3));
      if (number > iteration && number > 0) iteration = number, newest = name;
    }
    if (!newest.empty())
      words = {"--continue", newest, "--o", "./run", "--external_reconstruct", "--auto_iter_max", std::to_string(last)};
  }
  EXPECT_TRUE(ended);
  EXPECT_GE(killed_ranks, 10);
  EXPECT_EQ(orphans, 0);
  EXPECT_LE(published_late, 0);
  // Each map that stayed is what its STAR file asks for.
  int right = 0, wrong = 0;
  for (const auto& name : named("_external_reconstruct.star")) {
    const std::string map = scratch / (name.substr(0, name.size() - 5) + ".mrc");
    if (!exists(map)) continue;
    const std::string there = read_file(map);
    Invocation again;
    again.words = {cryored(), "reconstruct", "--prior", "red", "--weights", "builtin:identity", "--threads", "1", name};
    again.folder = scratch.path();
    EXPECT_EQ(cryored_test::run(again).code, 0) << name;
    const bool same = read_file(map) == there;
    EXPECT_TRUE(same) << name;
    ++(same ? right : wrong);
  }
  EXPECT_GE(right, 2 * last - 2);
  std::vector<std::string> temporary;
  for (const auto& name : scratch.names())
    if (name.find(".tmp") != std::string::npos) temporary.push_back(name);
  EXPECT_EQ(temporary, std::vector<std::string>{});
  report("kill -9 of all ranks of a real RELION auto-refine in the middle of an iteration, and --continue", 5,
         std::to_string(killed_ranks) +
             " ranks killed; 0 plugins left, 0 maps published afterwards; the continued run "
             "ended well, " +
             std::to_string(right) + " maps on disk, " + std::to_string(wrong) + " wrong");
}

}  // namespace
}  // namespace cryored_test
