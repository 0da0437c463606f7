#include "training/ranks.hpp"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>

#include "core/base/error.hpp"

namespace cryored {
namespace {

class Alone : public Ranks {
 public:
  std::string engine() const override { return "one process"; }
  void sum(std::span<float>) override {}
  void broadcast(void*, std::size_t) override {}
  void finish() override {}
};

/// A whole number, or `missing`.
int variable(const char* name, int missing) {
  const char* text = std::getenv(name);
  if (!text || !*text) return missing;
  char* end = nullptr;
  const long value = std::strtol(text, &end, 10);
  if (*end != '\0' || value < 0 || value > 1000000)
    throw UsageError(Problem{std::string("environment variable ") + name, "", text, "a whole number",
                             "start through mpirun, srun or torchrun, or unset it"});
  return static_cast<int>(value);
}

}  // namespace

std::unique_ptr<Ranks> join_mpi(const std::string& library, int expected) {
  // Open MPI's own plugins look for its symbols in the global scope.
  void* handle = dlopen(library.c_str(), RTLD_NOW | RTLD_GLOBAL);
  const auto entry = handle ? reinterpret_cast<Ranks* (*)()>(dlsym(handle, "cryored_mpi_ranks")) : nullptr;
  if (!entry) {
    const char* reason = dlerror();
    throw SystemError(Problem{library, "MPI", reason ? reason : "cannot be loaded", "a build with MPI",
                              "install libopenmpi-dev and build again, or start one process"});
  }
  std::unique_ptr<Ranks> ranks(entry());
  if (ranks->size() != expected)
    throw SystemError(Problem{"MPI", "ranks", std::to_string(ranks->size()),
                              std::to_string(expected) + ", as the launcher's variables say",
                              "use the mpirun of " + ranks->engine() + ", or srun --mpi=pmix"});
  return ranks;
}

void* find_nccl(const std::string& library) {
  if (!std::filesystem::exists(library)) return nullptr;
  void* handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  void* entry = handle ? dlsym(handle, "cryored_nccl_sum") : nullptr;
  if (!entry) {
    const char* reason = dlerror();
    throw SystemError(Problem{library, "NCCL", reason ? reason : "cannot be loaded", "the LibTorch of this build",
                              "build again, or remove this file: sums then go through host memory"});
  }
  return entry;
}

Launch launched() {
  const auto given = [](const char* name) { return std::getenv(name) != nullptr; };
  const int world = variable("WORLD_SIZE", 1);
  // torchrun may itself be a task of mpirun or srun: then its processes are the ranks, not the tasks.
  if (given("TORCHELASTIC_RUN_ID")) return world > 1 ? Launch{Launcher::torchrun, world} : Launch{};
  // Open MPI, and the process managers of MPICH and its kin. Before torchrun's four: clusters set those for whole pods,
  // often to speak of one process.
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"})
    if (const int size = variable(name, 1); size > 1) return {Launcher::mpi, size};
  if (world > 1 && given("RANK") && given("MASTER_ADDR") && given("MASTER_PORT")) return {Launcher::torchrun, world};
  if (const int size = variable("SLURM_STEP_NUM_TASKS", 1); size > 1) return {Launcher::mpi, size};
  // An incomplete set, which torchrun_variables() refuses.
  return world > 1 ? Launch{Launcher::torchrun, world} : Launch{};
}

TorchrunVariables torchrun_variables() {
  TorchrunVariables v;
  v.size = variable("WORLD_SIZE", 1);
  v.rank = variable("RANK", -1);
  v.local_rank = variable("LOCAL_RANK", -1);
  v.local_size = variable("LOCAL_WORLD_SIZE", 0);
  v.port = variable("MASTER_PORT", 0);
  const char* host = std::getenv("MASTER_ADDR");
  v.host = host ? host : "";
  const char* agent = std::getenv("TORCHELASTIC_USE_AGENT_STORE");
  v.agent_serves = agent && std::string(agent) == "True";
  if (v.rank < 0 || v.rank >= v.size || v.port == 0 || v.port > 65535 || v.host.empty())
    throw UsageError(Problem{"environment", "RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT",
                             "incomplete or out of range, with WORLD_SIZE " + std::to_string(v.size),
                             "all four, as torchrun sets them", "set them, or unset WORLD_SIZE for one process"});
  return v;
}

std::unique_ptr<Ranks> one_process() { return std::make_unique<Alone>(); }

}  // namespace cryored
