#pragma once
// The processes of one training. Free of torch and of MPI's headers: MPI is in a library of its own, loaded only
// when a launcher has started several ranks.

#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace cryored {

/// Every rank makes the same calls in the same order. Errors of the engine are SystemErrors.
class Ranks {
 public:
  virtual ~Ranks() = default;  ///< leaves without a word to the others, as after an error
  int rank() const { return rank_; }
  int size() const { return size_; }
  int local_rank() const { return local_rank_; }  ///< among those on this machine
  int local_size() const { return local_size_; }
  bool first() const { return rank_ == 0; }
  /// For the model card: "one process", "MPI: ...".
  virtual std::string engine() const = 0;

  /// Element by element over all ranks; every rank gets the same bits.
  virtual void sum(std::span<float> values) = 0;
  /// From rank 0 to all.
  virtual void broadcast(void* bytes, std::size_t count) = 0;
  /// The orderly end: waits for all.
  virtual void finish() = 0;

 protected:
  int rank_ = 0, size_ = 1, local_rank_ = 0, local_size_ = 1;
};

enum class Launcher { none, mpi, torchrun };
struct Launch {
  Launcher launcher = Launcher::none;
  int size = 1;
};
/// What the launcher's variables say: torchrun itself (TORCHELASTIC_RUN_ID), then mpirun, then RANK, WORLD_SIZE,
/// MASTER_ADDR and MASTER_PORT, then a step of Slurm; none where they speak of one process. Throws UsageError for a
/// variable that is no number.
Launch launched();

std::unique_ptr<Ranks> one_process();

/// Loads libcryored_mpi.so and joins. Throws SystemError when there is none, or when MPI knows of other than `expected`
/// ranks: then launcher and library do not belong together.
std::unique_ptr<Ranks> join_mpi(const std::string& library, int expected);

/// NCCL's part, loaded from `library`: a function of torch's types, see training/device_sum.hpp. Null where this build
/// has none; throws SystemError when it is there and cannot be loaded.
void* find_nccl(const std::string& library);

struct TorchrunVariables {
  std::string host;
  int port = 0, rank = 0, size = 1;
  int local_rank = -1, local_size = 0;  ///< below 0, 0: not given, the ranks find out
  bool agent_serves = false;            ///< the launcher runs the store, which then outlives the ranks
};
/// Throws UsageError when one is missing.
TorchrunVariables torchrun_variables();

}  // namespace cryored
