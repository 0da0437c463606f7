#pragma once
// What a training leaves for people: the log, the curves, the model card. Free of torch.

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

namespace cryored {

/// Figures of the log that belong into one plot.
struct CurveGroup {
  std::string title, y_label;
  std::vector<std::pair<std::string, std::string>> keys;  ///< key in the log, name in the legend
};

/// What a task says of itself.
struct TaskDescription {
  std::string weights_file;  ///< in the folder of the run: "denoiser.crw"
  std::string name;          ///< of the weights: "denoiser-2.5A"
  std::string purpose, network, licence;
  std::vector<CurveGroup> curves;   ///< beside the loss
  std::vector<std::string> limits;  ///< sentences

  /// "denoiser.md" for "denoiser.crw".
  std::string card_file() const;
};

/// RUN/log.jsonl: one JSON object per validation.
class RunLog {
 public:
  /// Takes up the log of `folder` as it was at `step`: later lines, and half a line of a killed run, go.
  /// Throws SystemError when it cannot be written.
  RunLog(const std::string& folder, std::int64_t step);
  /// Throws SystemError.
  void append(const nlohmann::json& line);
  const std::vector<nlohmann::json>& lines() const { return lines_; }

 private:
  std::string path_;
  std::vector<nlohmann::json> lines_;
};

struct RunReport {
  TaskDescription task;
  nlohmann::json data;      ///< ExampleSource::description()
  nlohmann::json settings;  ///< of the optimisation
  nlohmann::json
      sessions;  ///< array: from_step, to_step, seconds, command, version, commit, hardware, device, ranks ...
  nlohmann::json shipped;  ///< the line of the log that belongs to the weights file
  std::vector<nlohmann::json> lines;
};

/// Writes curves.json, curves.html and the model card into `folder`, each atomically.
void write_run_report(const std::string& folder, const RunReport& report);

/// The card's text, Markdown.
std::string model_card(const RunReport& report);

}  // namespace cryored
