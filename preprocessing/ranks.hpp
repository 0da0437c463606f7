#pragma once
// Several processes that share one job, started by mpirun or srun, without linking MPI: the launcher's environment says
// which one this is, and files in a folder that all of them see say the rest. So one program serves Open MPI, MPICH,
// Intel MPI and Slurm, and a machine without any of them.

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace cryored {

struct RankPlace {
  int rank = 0, size = 1;
  int local_size = 1;    ///< ranks on this machine
  std::string launcher;  ///< "Open MPI", ...; empty for a single process
};

/// From OMPI_COMM_WORLD_RANK/SIZE/LOCAL_SIZE (Open MPI), PMI_RANK/PMI_SIZE and MPI_LOCALNRANKS (MPICH, Intel MPI), or
/// SLURM_PROCID with SLURM_STEP_NUM_TASKS, which only srun sets (a batch script alone is one process, whatever
/// SLURM_NTASKS says). Throws UsageError when the values make no sense.
RankPlace rank_place(const std::function<std::string(const std::string&)>& environment);

/// The meeting of the ranks of one launch in a folder, which files of earlier launches may still be in. A rank that
/// works, or prepares the work, gives a sign of life every few seconds from a thread of its own.
class RankMeeting {
 public:
  /// `folder` must exist and be the same for all. `timeout` in seconds is how long a rank waits for another to appear,
  /// or for one that gives no sign of life (time in which this process itself stood still hardly counts).
  RankMeeting(const RankPlace& place, std::string folder, double timeout = 300);
  ~RankMeeting();
  RankMeeting(const RankMeeting&) = delete;
  RankMeeting& operator=(const RankMeeting&) = delete;

  /// Rank 0, after it has prepared the job: tells the others to begin and returns when all have answered.
  /// The others: returns when rank 0 has said so. Throws SystemError when one does not appear in time, or, in the other
  /// ranks, Error with rank 0's message where its preparation failed.
  void begin();
  /// Rank 0, when its preparation has failed: lets the others that are there end at once.
  void cancel(const std::string& problem);

  /// Whether this rank has its place in the launch: begin() has returned, or this is rank 0. One without may be in the
  /// folder of another launch, whose rank 0 does not know it.
  bool joined() const { return joined_; }

  /// The others: this rank's share is done (or given up, with what went wrong). Nothing where it has not joined.
  void finish(const std::string& problem = {});
  /// Rank 0: true when all others have finished; to be asked several times a second. Throws Error with the message of
  /// one that failed, SystemError when one that has not finished falls silent.
  bool others_finished();
  /// For people: which ranks others_finished() waits for, and since when one of them has given no sign.
  const std::string& waits_for() const { return waits_for_; }

 private:
  using Clock = std::chrono::steady_clock;
  /// How long another rank has been silent, as this one saw it.
  struct Silence {
    std::string sign, name;  ///< last one; "rank 2 (node7, pid 4711)"
    double seconds = 0;
    Clock::time_point looked = Clock::now();
  };
  std::string file(const std::string& name) const { return folder_ + "/" + name; }
  void publish(const std::string& state) const;
  std::vector<int> not_ready() const;
  void listen_to(int rank, Silence& silence) const;
  void live(double pause);
  void end_signs();

  RankPlace place_;
  std::string folder_, token_;
  double timeout_;
  std::vector<Silence> silences_;
  std::string waits_for_;
  std::mutex mutex_;
  std::condition_variable ended_;
  bool end_ = false, joined_;
  std::thread signs_;
};

}  // namespace cryored
