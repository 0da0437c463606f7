#include "daemon/job_history.hpp"

#include <algorithm>
#include <ctime>

namespace cryored::daemon {

Snapshot::JobState& JobHistory::job(const std::string& name) {
  const auto found = std::find_if(jobs_.begin(), jobs_.end(), [&](const auto& j) { return j.job == name; });
  if (found != jobs_.end()) {
    jobs_.splice(jobs_.begin(), jobs_, found);
  } else {
    jobs_.emplace_front();
    jobs_.front().job = name;
    if (jobs_.size() > kept_) jobs_.pop_back();
  }
  return jobs_.front();
}

const Snapshot::MapState& JobHistory::done(const Outcome& outcome, double waited, double seconds) {
  last_ = Snapshot::MapState{};
  last_.facts = outcome.facts;
  last_.exit = outcome.exit;
  last_.waited = waited;
  last_.seconds = seconds;
  last_.finished = utc_text(std::time(nullptr));
  if (outcome.exit != 0) last_.error = outcome.err.substr(0, std::min(outcome.err.find('\n'), std::size_t{1000}));
  // A request whose words name no map belongs to none.
  if (outcome.facts.job.empty()) return last_;
  Snapshot::JobState& state = job(outcome.facts.job);
  ++(outcome.exit == 0 ? state.done : state.failed);
  state.seconds += seconds;
  if (!last_.error.empty()) state.last_error = last_.error;
  state.recent.push_back(last_);
  if (state.recent.size() > 16) state.recent.erase(state.recent.begin());
  return last_;
}

void JobHistory::cancelled(const std::string& name) {
  if (!name.empty()) ++job(name).cancelled;
}

}  // namespace cryored::daemon
