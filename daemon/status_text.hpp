#pragma once
// The status of daemons for people: what `cryored status` prints and `cryored top` repeats.

#include <cstddef>
#include <string>
#include <vector>

#include "daemon/registry.hpp"

namespace cryored::daemon {

struct TextOptions {
  std::size_t recent_maps = 8;  ///< of each job, the newest
  std::size_t jobs = 64;
};

/// Lines without their ends. Fields that another version does not send are shown as "-"; control characters in names
/// (a terminal would obey them) as "?".
std::vector<std::string> status_lines(const FoundDaemon& found, const TextOptions& options = {});

/// The same for all, with what to do when there is none; each daemon's lines apart by an empty one.
std::vector<std::string> status_lines(const std::vector<FoundDaemon>& all, const std::string& folder,
                                      const TextOptions& options = {});

/// Number of columns that a terminal uses for `text`, one for each code point.
std::size_t columns(const std::string& text);
/// The first `width` columns of `text`; what was cut is shown by "~" in the last one.
std::string cut_to(const std::string& text, std::size_t width);
/// `text` without what a terminal would obey.
std::string printable(const std::string& text);

}  // namespace cryored::daemon
