#pragma once
// What a request file means to a daemon that watches: whether it may be computed, and what is to be computed.

#include <string>

#include "daemon/exchange.hpp"
#include "daemon/job.hpp"

namespace cryored::daemon {

/// A request file where it lies. All paths are absolute.
struct PlacedRequest {
  const FileRequest& request;
  std::string path;  ///< of the request file
  std::string star;
  std::string root;  ///< the watched folder, a real path
};

/// Why another daemon must compute it (one of that user, one that watches that place); empty: this one may. As
/// Error::what() has it, like the next.
std::string elsewhere(const PlacedRequest& placed, unsigned uid);

/// Why no daemon of this version computes it; empty: this one does.
std::string refusal(const PlacedRequest& placed, const std::string& host);

/// What `cryored reconstruct` would have got, for the daemon of this generation. Request::wanted says false as soon as
/// the caller has withdrawn the request or the next generation is there.
Request to_compute(const PlacedRequest& placed, int generation);

/// "/a/b" of "/a/b/c".
std::string folder_of(const std::string& path);
/// "c" of it.
std::string name_of(const std::string& path);
/// The file or folder has gone, as errno tells.
bool is_gone(int error);

}  // namespace cryored::daemon
