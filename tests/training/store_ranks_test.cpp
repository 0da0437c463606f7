// Ranks that meet through a store: what the others notice of one that is gone.

#include "training/store_ranks.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <map>
#include <string>
#include <thread>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <utility>

#include "core/base/error.hpp"
#include "tests/training/free_port.hpp"
#include "training/place.hpp"

namespace cryored {
namespace {

using namespace std::chrono_literals;

constexpr auto kPatience = 2s;

TorchrunVariables variables(int rank, int port) {
  TorchrunVariables v;
  v.host = "127.0.0.1";
  v.port = port;
  v.rank = rank;
  v.size = 2;
  return v;
}

/// The message that a sum ends with.
std::string error_of_sum(Ranks& ranks) {
  std::array<float, 4> values{};
  try {
    ranks.sum(values);
  } catch (const SystemError& e) {
    return e.what();
  }
  return "none";
}

/// Variables for as long as it lives; all others that launchers set are away.
class Environment {
 public:
  explicit Environment(const std::map<std::string, std::string>& set) {
    for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS", "TORCHELASTIC_RUN_ID",
                             "TORCHELASTIC_RESTART_COUNT", "RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"})
      unsetenv(name);
    for (const auto& [name, value] : set) setenv(name.c_str(), value.c_str(), 1);
    names_ = set;
  }
  ~Environment() {
    for (const auto& [name, value] : names_) unsetenv(name.c_str());
  }

 private:
  std::map<std::string, std::string> names_;
};

using Found = std::pair<Launcher, int>;

Found launch(const std::map<std::string, std::string>& set) {
  const Environment environment(set);
  const Launch found = launched();
  return {found.launcher, found.size};
}

const std::map<std::string, std::string> four{
    {"RANK", "0"}, {"WORLD_SIZE", "4"}, {"MASTER_ADDR", "a"}, {"MASTER_PORT", "1"}};

TEST(Launch, TorchrunWithinAStepOfSlurmIsTorchrun) {
  auto within = four;
  within["SLURM_STEP_NUM_TASKS"] = "2";
  EXPECT_EQ(launch(four), (Found{Launcher::torchrun, 4}));
  EXPECT_EQ(launch(within), (Found{Launcher::torchrun, 4}));
  EXPECT_EQ(launch({{"TORCHELASTIC_RUN_ID", "x"}, {"WORLD_SIZE", "4"}, {"SLURM_STEP_NUM_TASKS", "2"}}),
            (Found{Launcher::torchrun, 4}));
  EXPECT_EQ(launch({{"SLURM_STEP_NUM_TASKS", "2"}, {"MASTER_ADDR", "a"}, {"MASTER_PORT", "1"}}),
            (Found{Launcher::mpi, 2}));
  EXPECT_EQ(launch({{"OMPI_COMM_WORLD_SIZE", "3"}}), (Found{Launcher::mpi, 3}));
  EXPECT_EQ(launch({}), (Found{Launcher::none, 1}));
}

TEST(Launch, VariablesOfThePodDoNotHideMpirunOrSrun) {
  for (const char* size : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"}) {
    auto pod = four;
    pod["WORLD_SIZE"] = "1";
    pod[size] = "3";
    EXPECT_EQ(launch(pod), (Found{Launcher::mpi, 3})) << size;
  }
  auto several = four;
  several["OMPI_COMM_WORLD_SIZE"] = "8";
  EXPECT_EQ(launch(several), (Found{Launcher::mpi, 8})) << "pods of four, and mpirun in them";
  several["TORCHELASTIC_RUN_ID"] = "x";
  EXPECT_EQ(launch(several), (Found{Launcher::torchrun, 4})) << "torchrun as a task of mpirun";
  several["WORLD_SIZE"] = "1";
  EXPECT_EQ(launch(several), (Found{Launcher::none, 1}));
  EXPECT_EQ(launch({{"WORLD_SIZE", "4"}}), (Found{Launcher::torchrun, 4})) << "refused when it joins";
}

TEST(StoreRanks, WaitForOneThatComputesForLong) {
  const int port = test::free_port();
  std::array<float, 3> other{1, 2, 3};
  std::thread second([&] {
    const auto ranks = join_store(variables(1, port), kPatience);
    std::this_thread::sleep_for(2 * kPatience);
    ranks->sum(other);
    EXPECT_EQ(ranks->local_rank(), 1) << "by the names of the machines";
    ranks->finish();
  });
  const auto ranks = join_store(variables(0, port), kPatience);
  std::array<float, 3> values{10, 20, 30};
  ranks->sum(values);
  ranks->finish();
  second.join();
  EXPECT_EQ(ranks->local_rank(), 0);
  EXPECT_EQ(ranks->local_size(), 2);
  EXPECT_EQ(values, (std::array<float, 3>{11, 22, 33}));
  EXPECT_EQ(other, values);
}

TEST(StoreRanks, OneThatEndsWithAnErrorIsNoticed) {
  const int port = test::free_port();
  std::thread second([&] { join_store(variables(1, port), kPatience); });
  const auto ranks = join_store(variables(0, port), kPatience);
  second.join();
  const std::string text = error_of_sum(*ranks);
  EXPECT_NE(text.find("rank 1: found ended with an error"), std::string::npos) << text;
}

TEST(StoreRanks, StartedAnewMeetInTheStoreThatTheFailedOnesLeft) {
  const int port = test::free_port();
  c10d::TCPStoreOptions options;
  options.port = static_cast<std::uint16_t>(port);
  options.isServer = true;
  options.waitWorkers = false;
  const auto agent = c10::make_intrusive<c10d::TCPStore>("127.0.0.1", options);
  const auto of_attempt = [&](int rank, const char* attempt) {
    const Environment environment({{"RANK", std::to_string(rank)},
                                   {"WORLD_SIZE", "2"},
                                   {"MASTER_ADDR", "127.0.0.1"},
                                   {"MASTER_PORT", std::to_string(port)},
                                   {"TORCHELASTIC_USE_AGENT_STORE", "True"},
                                   {"TORCHELASTIC_RESTART_COUNT", attempt}});
    return torchrun_variables();
  };
  // Each machine's torchrun counts only the restarts that it has made itself.
  const auto attempt = [&](const char* here, const char* there, const auto& work) {
    const std::array<TorchrunVariables, 2> v{of_attempt(0, here), of_attempt(1, there)};
    std::thread second([&] { work(*join_store(v[1], kPatience)); });
    work(*join_store(v[0], kPatience));
    second.join();
  };
  attempt("0", "0", [](Ranks& ranks) {  // a sum that leaves its keys, then an error
    std::array<float, 2> values{1, 1};
    ranks.sum(values);
  });
  agent->add("cryored/arrivals/1", 1);  // an attempt of which the first rank ended before it came
  attempt("1", "0", [](Ranks& ranks) {
    std::this_thread::sleep_for(ranks.first() ? 0s : kPatience);  // long enough for the first to look after it
    std::array<float, 2> values{10, 20};
    EXPECT_NO_THROW(ranks.sum(values));
    EXPECT_EQ(values, (std::array<float, 2>{20, 40}));
    ranks.finish();
  });
}

TEST(StoreRanks, OneThatIsKilledIsNoticed) {
  const int port = test::free_port();
  const pid_t child = fork();
  if (child == 0) {
    const auto ranks = join_store(variables(1, port), kPatience);
    for (;;) pause();
  }
  const auto ranks = join_store(variables(0, port), kPatience);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  const auto begin = std::chrono::steady_clock::now();
  const std::string text = error_of_sum(*ranks);
  EXPECT_NE(text.find("rank 1: found no sign of life"), std::string::npos) << text;
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 30s);
}

TEST(Place, CardsAreToldApartByTheirUuids) {
  const std::string a = "0111213141516171819101b1c1d1e1f1", b = "0111213141516171819101b1c1d1e1f2";
  const auto answers = [](const std::string& first, const std::string& second) {
    const int port = test::free_port();
    std::array<bool, 2> found{};
    const auto rank = [&](int r, const std::string& gpu) {
      const auto ranks = join_store(variables(r, port), kPatience);
      found[static_cast<std::size_t>(r)] = each_has_a_gpu_of_its_own(gpu, *ranks);
      ranks->finish();
    };
    std::thread other(rank, 1, second);
    rank(0, first);
    other.join();
    return found;
  };
  using Both = std::array<bool, 2>;
  EXPECT_EQ(answers(a, b), (Both{true, true})) << "each rank may see one card only, with index 0";
  EXPECT_EQ(answers(a, a), (Both{false, false}));
  EXPECT_EQ(answers(a, ""), (Both{false, false})) << "one on the CPU, or a driver that tells no UUID";
  EXPECT_EQ(answers("", ""), (Both{false, false}));
}

}  // namespace
}  // namespace cryored
