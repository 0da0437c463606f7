#pragma once
// The files of a request that came by a watched folder: are they all there, complete, and inside it?

#include "daemon/watcher.hpp"

namespace cryored {

/// The STAR file has the size that its caller saw and all its rows; its three MRC files are as long as their headers
/// say; nothing that is read or written lies outside `root`, symbolic links resolved.
daemon::FilesLook look_at_watched_files(const daemon::Request& request, const std::string& star,
                                        std::uint64_t star_size, const std::string& root);

}  // namespace cryored
