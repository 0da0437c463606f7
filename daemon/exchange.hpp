#pragma once
// What the plugin and the daemon both know of the protocol (docs/daemon.md), and the files of a request through files.
// libc, the C++ library and a JSON library of headers only, since the thin plugin links this.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace cryored::daemon {

constexpr int protocol_version = 1;

/// So many random hexadecimal digits. Throws SystemError.
std::string random_digits(std::size_t count);

/// The umask of this process. For programs of one thread: to read it is to set it for a moment.
unsigned own_umask();
/// As requests carry it, in octal digits, one to four. Nothing where the text is none.
std::string umask_text(unsigned mask);
std::optional<unsigned> parse_umask(const std::string& text);

/// The variables of this process that a request carries.
std::map<std::string, std::string> handed_environment();

/// <STAR without .star>.cryored-request.json.
std::string request_file(const std::string& star);
/// <STAR without .star>.cryored-answer-NONCE-GENERATION.json. The daemon that made the file, alone, writes it; the next
/// generation is of the daemon that took the request over.
std::string answer_file(const std::string& star, const std::string& nonce, int generation);
bool is_request_file(const std::string& name);
/// The other way round: what precedes .cryored-request.json.
std::string stem_of_request(const std::string& path);

/// The request file. All paths are relative to its folder.
struct FileRequest {
  int protocol = protocol_version;
  std::string nonce;               ///< 32 hexadecimal digits
  std::vector<std::string> words;  ///< the STAR's file name among them
  std::map<std::string, std::string> environment;
  std::uint64_t star_size = 0;  ///< bytes
  int job_root_levels = 0;      ///< the caller's working directory is so many folders above
  std::string host;
  int pid = 0;
  std::optional<unsigned> umask;  ///< the caller's
  std::uint64_t beat = 0;         ///< another one each time that it is written: the caller lives
};

struct FileAnswer {
  int protocol = protocol_version;
  std::string nonce, state;  ///< accepted, heartbeat, done, or left: that daemon does no more for it
  std::string note;          ///< for people: what the daemon does or waits for
  int exit = 1;
  std::string out, err;
  std::string result;             ///< of done with exit 0: the map, relative to the folder of the request
  std::uint64_t result_size = 0;  ///< bytes
  std::string host, time;
  std::string holder;      ///< daemon/claim.hpp
  std::uint64_t beat = 0;  ///< another one each time that it is written
};

/// Throws nlohmann's exception where a text is no UTF-8.
std::string to_text(const FileRequest& request);
std::string to_text(const FileAnswer& answer);
/// Nothing where the text is no such file, or one cut short.
std::optional<FileRequest> parse_request(const std::string& text);
std::optional<FileAnswer> parse_answer(const std::string& text);

/// A small file whole; nothing where it is missing, no regular file, a link or larger than `most` bytes. Opened anew
/// each time, so that network file systems look at the server.
std::optional<std::string> read_small_file(const std::string& path, std::size_t most = 4 * 1024 * 1024);

std::string host_name();

}  // namespace cryored::daemon
