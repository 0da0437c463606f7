#pragma once
// Scores of phase retrieval as JSON, and their folder, in which what was scored once is found again.

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "evaluation/phase_verdict.hpp"

namespace cryored {

/// Every number of a score but the pictures; resolutions that are infinite are null.
nlohmann::ordered_json to_json(const PhaseScore& score);
/// Throws InputError naming the file and what is wrong.
PhaseScore phase_score(const nlohmann::ordered_json& json, const std::string& where);

nlohmann::ordered_json to_json(const PhaseSummary& summary);
nlohmann::ordered_json to_json(const PhaseComparison& comparison);

/// `<folder>/<name>.json` with the key that says what was computed, and `<folder>/<name>.mrc` with its pictures
/// (single, mean). Both are written atomically, the pictures first.
void keep_phase_score(const std::string& folder, const std::string& name, const nlohmann::ordered_json& key,
                      const PhaseScore& score);
/// The score if the files are there and the key is this one. Throws InputError when the file is damaged.
std::optional<PhaseScore> kept_phase_score(const std::string& folder, const std::string& name,
                                           const nlohmann::ordered_json& key);

}  // namespace cryored
