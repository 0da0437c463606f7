#pragma once
// A daemon's state as Prometheus text (exposition format 0.0.4), for GET /metrics.

#include <string>

#include "daemon/status.hpp"

namespace cryored::daemon {

/// The Content-Type of metrics_text().
constexpr const char* metrics_content_type = "text/plain; version=0.0.4; charset=utf-8";

/// Every family with HELP and TYPE; base units (seconds, bytes, meters: a resolution of 7.5 A is 7.5e-10), counters end
/// in _total. The number of series is bounded as the snapshot is: devices, networks, and the jobs that it remembers.
std::string metrics_text(const Snapshot& snapshot);

}  // namespace cryored::daemon
