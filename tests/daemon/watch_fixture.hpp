#pragma once
// Base of the tests of watched folders: RELION's project, daemons that watch it from elsewhere, and callers.

#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/cli/reconstruct_fixture.hpp"

namespace cryored_test {

namespace fs = std::filesystem;
using Json = nlohmann::json;

/// RELION's project is `scratch`, its job a folder in it; the daemons run in another folder.
class WatchTest : public ReconstructTest {
 protected:
  WatchTest() {
    files.written_folder = "Refine3D/Läufe 日本/job 001";
    files.folder = scratch / files.written_folder;
    fs::create_directories(files.folder);
  }
  Process start_daemon(const std::string& name, std::vector<std::string> words = {}, bool obey = false) const {
    return Process(daemon_call(name, std::move(words), obey));
  }
  Invocation daemon_call(const std::string& name, std::vector<std::string> words = {}, bool obey = false) const {
    Invocation invocation;
    invocation.words = {cryored(), "daemon", "--device", "cpu", "--threads", "1", "--log", log_file(name)};
    invocation.words.insert(invocation.words.end(), words.begin(), words.end());
    invocation.words.insert(invocation.words.end(), {"--watch", scratch.path()});
    invocation.folder = elsewhere.path();
    invocation.environment["CRYORED_RUNTIME_DIR"] = elsewhere / ("run-" + name);
    invocation.obey_permissions = obey;
    return invocation;
  }
  std::string log_file(const std::string& name) const { return elsewhere / (name + ".log"); }
  /// The events of a daemon's log with that name.
  std::vector<Json> events(const std::string& daemon, const std::string& event) const {
    std::vector<Json> found;
    const std::string text = exists(log_file(daemon)) ? read_file(log_file(daemon)) : "";
    for (std::size_t at = 0, end; (end = text.find('\n', at)) != text.npos; at = end + 1) {
      const Json line = Json::parse(text.substr(at, end - at), nullptr, false);
      if (line.is_object() && line.value("event", "") == event) found.push_back(line);
    }
    return found;
  }
  bool wait_for(const std::string& daemon, const std::string& event, std::size_t count = 1) const {
    for (int i = 0; i < 3000; ++i, usleep(10'000))
      if (events(daemon, event).size() >= count) return true;
    return false;
  }
  Invocation ask(const RequestFiles& request, std::vector<std::string> words) const {
    Invocation invocation;
    invocation.words = {plugin(), "--via-files"};
    for (auto& word : words) invocation.words.push_back(std::move(word));
    invocation.words.push_back(request.written_folder + "/" + request.stem + "_external_reconstruct.star");
    invocation.folder = scratch.path();
    invocation.environment["CRYORED_NO_DAEMON"] = "no";
    return invocation;
  }
  Invocation ask(std::vector<std::string> words = {"--prior", "gaussian"}) const {
    return ask(files, std::move(words));
  }
  /// All that a computation takes from the network, without one; it lasts so many seconds.
  static std::vector<std::string> lasting(const std::string& seconds) {
    return {"--prior", "red", "--weights", "builtin:wait=" + seconds};
  }
  Json record() const { return Json::parse(read_file(files.record())); }
  /// Names of the exchange and temporary ones.
  std::vector<std::string> leftovers() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(scratch.path())) {
      const std::string name = entry.path().filename();
      if (name.find(".cryored-") != name.npos || name.ends_with(".tmp")) names.push_back(name);
    }
    return names;
  }
  std::string request_file() const {
    return files.folder + "/" + files.stem + "_external_reconstruct.cryored-request.json";
  }
  static bool wait_until_there(const std::string& path) {
    for (int i = 0; i < 3000 && !exists(path); ++i) usleep(10'000);
    return exists(path);
  }
  ScratchFolder elsewhere;
};

}  // namespace cryored_test
