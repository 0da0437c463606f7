#pragma once
// The jobs that a daemon has served lately, for status.

#include <list>
#include <string>

#include "daemon/status.hpp"

namespace cryored::daemon {

class JobHistory {
 public:
  explicit JobHistory(std::size_t kept) : kept_(kept) {}
  /// A request that ended; what was noted of it.
  const Snapshot::MapState& done(const Outcome& outcome, double waited, double seconds);
  void cancelled(const std::string& job);
  /// The most recently served first.
  std::vector<Snapshot::JobState> jobs() const { return {jobs_.begin(), jobs_.end()}; }

 private:
  Snapshot::JobState& job(const std::string& name);
  std::size_t kept_;
  std::list<Snapshot::JobState> jobs_;
  Snapshot::MapState last_;
};

}  // namespace cryored::daemon
