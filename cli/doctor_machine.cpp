#include "cli/doctor_machine.hpp"

#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <regex>
#include <sstream>

#include "cli/denoise_library.hpp"
#include "cli/installation.hpp"
#include "cli/plugin_words.hpp"
#include "cli/threads.hpp"
#include "core/base/atomic_file.hpp"
#include "core/base/error.hpp"
#include "core/reconstruct/gpu.hpp"
#include "models/device.hpp"
#include "models/weights_file.hpp"

namespace cryored {
namespace {

namespace fs = std::filesystem;

constexpr const char* relion_variable = "RELION_EXTERNAL_RECONSTRUCT_EXECUTABLE";

// A program as the shell would find it, empty when it would not.
std::string find_on_path(const std::string& name) {
  if (name.find('/') != std::string::npos) return access(name.c_str(), X_OK) == 0 ? name : "";
  std::istringstream folders(std::getenv("PATH") ? std::getenv("PATH") : "");
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::string path = (folder.empty() ? "." : folder) + "/" + name;
    if (access(path.c_str(), X_OK) == 0 && !fs::is_directory(path)) return path;
  }
  return "";
}

std::string output_of(const std::string& command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  std::string text;
  std::array<char, 4096> buffer;
  for (std::size_t n = 0; pipe && (n = std::fread(buffer.data(), 1, buffer.size(), pipe.get())) > 0;)
    text.append(buffer.data(), n);
  return text;
}

std::string gigabytes(double bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f GB", bytes / 1e9);
  return text;
}

Finding check_relion() {
  const std::string path = find_on_path("relion_refine");
  if (path.empty())
    return {FindingLevel::problem, "RELION", "relion_refine is not on the PATH",
            "load RELION's module or add its bin folder to PATH"};
  std::smatch match;
  const std::string text = output_of("relion_refine --version 2>&1 < /dev/null");
  if (!std::regex_search(text, match, std::regex("version:? *([0-9]+)\\.([0-9]+)[^ \n]*")))
    return {FindingLevel::note, "RELION", path + " does not tell its version", "check that it is RELION 3.1 or newer"};
  const std::string version = match[0].str().substr(match[0].str().find_first_of("0123456789"));
  const int number = std::stoi(match[1]) * 100 + std::stoi(match[2]);
  if (number < 301)
    return {FindingLevel::problem, "RELION", path + " is version " + version,
            "use RELION 3.1 or newer: older ones have no --external_reconstruct"};
  return {FindingLevel::good, "RELION", path + ", version " + version, ""};
}

Finding check_variable() {
  const char* value = std::getenv(relion_variable);
  const std::string remedy = "eval \"$(" + prefix_folder() + "/bin/cryored env)\" in the shell that starts RELION";
  if (!value || !*value)
    return {FindingLevel::problem, "variable",
            std::string(relion_variable) + " is not set: RELION would run its own program", remedy};
  std::vector<std::string> words = shell_words(value);
  const std::string program = words.empty() ? "" : find_on_path(words[0]);
  if (program.empty())
    return {FindingLevel::problem, "variable", std::string(relion_variable) + " names no program: " + value, remedy};
  std::error_code error;
  if (fs::canonical(program, error) != fs::canonical(plugin_path(), error))
    return {FindingLevel::note, "variable", std::string(relion_variable) + " names another program: " + program,
            "nothing, if that is meant; else " + remedy};
  words.erase(words.begin());
  // What the shell would replace or act upon is not to be judged from here.
  const bool plain = std::strpbrk(value, "$`;&|<>()*?[#~\n") == nullptr;
  try {
    if (plain) check_plugin_words(words);
  } catch (const Error& wrong) {
    return {FindingLevel::problem, "variable", std::string(relion_variable) + "=" + value + ": " + wrong.what(),
            "set it again, to words that cryored-reconstruct --help lists"};
  }
  return {FindingLevel::good, "variable", std::string(relion_variable) + "=" + value, ""};
}

Finding check_program() {
  const std::string path = plugin_path();
  if (access(path.c_str(), X_OK) == 0) {
    const BuildInfo build = build_info();
    return {FindingLevel::good, "cryored", path + ", version " + build.version + ", commit " + build.commit, ""};
  }
  return {FindingLevel::problem, "cryored", path + " is missing or not executable",
          "install cryored again, with both programs in one folder"};
}

Finding check_library() {
  try {
    return {FindingLevel::good, "LibTorch", DenoiseLibrary::load().versions(), ""};
  } catch (const Error& error) {
    return {FindingLevel::problem, "LibTorch", error.what(), "see above; --prior gaussian works without it"};
  }
}

Finding check_weights(const std::string& requested) {
  try {
    const char* variable = std::getenv("CRYORED_WEIGHTS");
    std::string text;
    for (const std::string& file : find_denoisers(requested, variable ? variable : "")) {
      const WeightsInfo info = verify_weights(file);
      text += info.path + ", " + info.name + ", SHA-256 agrees; ";
    }
    text.resize(text.size() - 2);
    return {FindingLevel::good, "weights", text, ""};
  } catch (const Error& error) {
    return {FindingLevel::problem, "weights", error.what(), "see above; --prior gaussian works without weights"};
  }
}

Finding check_gpu(const std::string& request) {
  const GpuSurvey survey = survey_gpus();
  try {
    const DeviceChoice choice = choose_device(request, survey);
    if (choice.cuda && !gpu::library_path().empty()) gpu::require(choice.gpu.index);
    return {FindingLevel::good, "device", "--device " + request + " takes " + choice.text, ""};
  } catch (const Error& error) {
    return {FindingLevel::problem, "device", error.what(), "see above, or choose --device cpu"};
  }
}

Finding check_processors() {
  double available = 0;
  std::ifstream memory("/proc/meminfo");
  for (std::string key, unit; memory >> key;) {
    double value = 0;
    memory >> value;
    std::getline(memory, unit);
    if (key == "MemAvailable:") available = value * 1024;
  }
  const std::string text = std::to_string(usable_processors()) + " processors for this process, " +
                           gigabytes(available) + " of memory available";
  if (available < 2e9)
    return {FindingLevel::note, "memory", text, "the network alone needs about 1 GB: free memory, or ask for more"};
  return {FindingLevel::good, "memory", text, ""};
}

Finding check_folder() {
  std::error_code error;
  const std::string folder = fs::current_path(error).string();
  try {
    AtomicFile probe("cryored_doctor_probe");  // never published
    probe.write("x");
  } catch (const Error& failure) {
    return {FindingLevel::problem, "folder", failure.what(), "run RELION where its jobs can be written"};
  }
  const fs::space_info space = fs::space(".", error);
  if (error) return {FindingLevel::note, "folder", folder + ": " + error.message(), "check the disk"};
  const std::string text = folder + " is writable, " + gigabytes(static_cast<double>(space.available)) + " free";
  if (space.available < 2000000000)
    return {FindingLevel::note, "folder", text, "free space: one iteration at box 256, padding 2 writes 3 GB"};
  return {FindingLevel::good, "folder", text, ""};
}

}  // namespace

std::vector<std::string> shell_words(const std::string& text) {
  std::vector<std::string> words;
  char quote = 0;
  bool inside = false;  // of a word: '' is one, too
  const auto put = [&](char c) {
    if (!inside) words.emplace_back();
    inside = true;
    if (c) words.back() += c;
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote) {
      if (c == quote)
        quote = 0;
      else
        put(c == '\\' && quote == '"' && i + 1 < text.size() ? text[++i] : c);
    } else if (c == '\'' || c == '"') {
      quote = c;
      put(0);
    } else if (c == '\\' && i + 1 < text.size()) {
      put(text[++i]);
    } else if (c == ' ' || c == '\t') {
      inside = false;
    } else {
      put(c);
    }
  }
  return words;
}

std::vector<Finding> examine_machine(const std::string& device, const std::string& weights) {
  return {check_relion(),         check_variable(),  check_program(),    check_library(),
          check_weights(weights), check_gpu(device), check_processors(), check_folder()};
}

}  // namespace cryored
