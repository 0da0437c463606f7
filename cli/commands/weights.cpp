// cryored weights: which weights this installation has, and whether they are intact.

#include <cstdio>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/builtin_denoiser.hpp"
#include "cli/command.hpp"
#include "cli/common_options.hpp"
#include "core/base/error.hpp"
#include "core/base/json_text.hpp"
#include "models/weights_confidence.hpp"
#include "models/weights_file.hpp"

namespace cryored {
namespace {

using Json = nlohmann::ordered_json;

Json describe(const WeightsInfo& info) {
  return {{"path", info.path},
          {"name", info.name},
          {"architecture", info.kind()},
          {"parameters", info.parameters()},
          {"voxel_size_A", info.voxel_size},
          {"block", info.block},
          {"licence", info.licence},
          {"date", info.date},
          {"bytes", info.file_bytes},
          {"sha256", info.sha256},
          {"training", info.training},
          {"metrics", info.metrics},
          {"confidence", info.confidence ? Json(confidence_json(*info.confidence)) : Json()},
          {"confidence_measured", info.confidence_measured}};
}

void print(const WeightsInfo& info, bool verified) {
  const bool denoiser = info.model.is_null();
  std::cout << info.name << (verified ? ": intact" : "") << "\n"
            << "  file          " << info.path << " (" << info.file_bytes << " bytes)\n"
            << "  architecture  " << info.kind() << ", " << info.parameters() << " parameters\n"
            << (denoiser ? "  voxel size    " : "  pixel size    about ") << info.voxel_size << " A, trained on "
            << (denoiser ? "blocks of " : "images of ") << info.block << "\n"
            << "  date, licence " << info.date << ", " << info.licence << "\n";
  if (denoiser && info.confidence)
    std::cout << "  confidence    a table for each shell, weight of the prior " << info.confidence->prior_weight
              << "\n";
  else if (denoiser)
    std::cout << "  confidence    no table, so --confidence per-shell is refused\n";
  std::cout << "  sha256        " << info.sha256 << "\n";
}

int run(const Settings& settings) {
  const std::string action = settings.arguments.empty() ? "list" : settings.arguments[0];
  if (action != "list" && action != "verify")
    throw UsageError(Problem{"cryored weights", "action", action, "list or verify", "see cryored weights --help"});
  std::vector<std::string> files(settings.arguments.begin() + (settings.arguments.empty() ? 0 : 1),
                                 settings.arguments.end());
  if (files.empty()) {
    const std::string variable = settings.surroundings.variable("CRYORED_WEIGHTS");
    files = list_weights(is_builtin(variable) ? "" : variable);
  }
  if (files.empty()) {
    std::string places;
    for (const auto& folder : weights_search_path()) places += (places.empty() ? "" : ", ") + folder;
    throw InputError(Problem{places, "weights", "no file *.crw", "at least one",
                             "install cryored again, or name a file with --weights or CRYORED_WEIGHTS"});
  }
  // Every file is looked at before the verdict, so that one broken file does not hide another.
  const bool verify = action == "verify";
  Json out = Json::array();
  int broken = 0;
  for (const auto& file : files) {
    try {
      const WeightsInfo info = verify ? verify_weights(file) : read_weights_info(file);
      out.push_back(describe(info));
      if (verify) out.back()["intact"] = true;
      if (!settings.flag("json")) print(info, verify);
    } catch (const InputError& error) {
      ++broken;
      out.push_back({{"path", file}, {"intact", false}, {"error", error.what()}});
      std::cerr << "cryored: error: " << error.what() << "\n";
    }
  }
  if (settings.flag("json")) std::cout << json_text(out, 2) << "\n";
  return broken ? 1 : 0;
}

}  // namespace

Command weights_command() {
  CommandSpec spec;
  spec.program = "cryored weights";
  spec.arguments = "[list|verify] [FILE...]";
  spec.summary = "list or verify the network's weights";
  spec.details =
      "list prints what each weights file says about itself; verify also computes its SHA-256 and compares it with the "
      "one stored in the file. Without FILE all files of this installation are taken.";
  spec.maximum_arguments = 100;
  spec.options = {json_option("print JSON")};
  return {"weights", spec, run};
}

}  // namespace cryored
