#include "cli/weights_identity.hpp"

#include <filesystem>
#include <map>
#include <vector>

#include "cli/builtin_denoiser.hpp"
#include "cli/command.hpp"
#include "cli/denoise_library.hpp"
#include "cli/installation.hpp"
#include "cli/network_options.hpp"
#include "cli/plugin_words.hpp"
#include "daemon/exchange.hpp"
#include "evaluation/relion_run.hpp"
#include "models/weights_choice.hpp"

namespace cryored {
namespace {

namespace fs = std::filesystem;

WeightsIdentity identity_of(const WeightsInfo& info) {
  // A file that stands for no network (builtin:...) has a digest of its name.
  return {info.name, info.sha256, is_builtin(info.path) ? info.sha256 : network_digest(info.path)};
}

}  // namespace

BenchmarkWeights weights_at(const std::string& path) {
  const WeightsIdentity identity = identity_of(LazyDenoiser(path, {}).weights());
  return {identity, path, {identity.sha256}};
}

std::function<BenchmarkWeights(double)> weights_by_pixel_size(const Settings& settings) {
  const std::vector<WeightsInfo> denoisers = denoisers_in_force(settings);
  std::map<std::string, WeightsIdentity> identities;  // made once: network_digest() reads the whole file
  for (const WeightsInfo& info : denoisers) identities[info.path] = identity_of(info);
  const std::string named = settings.given("weights") ? denoisers.front().path : "";
  return [denoisers, identities, named](double pixel_size) {
    std::vector<WeightsIdentity> possible;
    BenchmarkWeights weights;
    for (const WeightsInfo& info : denoisers_for(denoisers, pixel_size)) {
      possible.push_back(identities.at(info.path));
      weights.files.push_back(info.sha256);
    }
    weights.identity = joint_identity(possible, choice_rule());
    weights.path = named;
    return weights;
  };
}

Settings reconstruct_settings(const std::string& program, const std::string& options, const std::string& folder) {
  std::vector<std::string> words = shell_line_words(options);
  check_plugin_words(words);
  words.push_back("request.star");
  Surroundings around{folder, daemon::handed_environment()};
  std::erase_if(*around.environment, [](const auto& one) { return !reaches_refinement(one.first); });
  (*around.environment)["CRYORED_CONFIG"] = "/dev/null";
  std::error_code none;
  const fs::path theirs = fs::weakly_canonical(program, none).parent_path().parent_path() / "share/cryored/weights";
  if (around.variable("CRYORED_WEIGHTS").empty() && fs::is_directory(theirs, none) &&
      !fs::equivalent(theirs, weights_folder(), none))
    (*around.environment)["CRYORED_WEIGHTS"] = theirs.string();
  return parse_options(plugin_spec(), words, persistent_options(), around);
}

std::string withheld_settings() {
  std::string all;
  const auto add = [&](const std::string& one) { all += (all.empty() ? "" : ", ") + one; };
  for (const auto& [name, value] : daemon::handed_environment())
    if (!value.empty() && !reaches_refinement(name) && name != "CRYORED_CONFIG") add(name);
  const CommandSpec spec = plugin_spec();
  for (const auto& [level, path] : config_files())
    for (const ConfigEntry& entry : read_config(path))
      if (find_option(spec.options, entry.key)) add(entry.key + " of " + path);
  return all.empty() ? all : "these settings do not reach the refinements, whose options alone decide: " + all;
}

bool network_takes_part(const RefineMode& mode, const std::string& program, const std::string& folder) {
  if (!mode.records) return false;
  const Settings s = reconstruct_settings(program, mode.external.substr(shell_word(program).size()), folder);
  return s.text("prior") != "gaussian" && s.optional_number("lambda") != 0.0;
}

CellWeights weights_in_force(const std::string& program, const std::string& options, const std::string& folder,
                             const std::string& mode, double pixel_size) {
  const BenchmarkWeights weights = weights_by_pixel_size(reconstruct_settings(program, options, folder))(pixel_size);
  return {weights.identity.key(mode), weights.files};
}

}  // namespace cryored
