#pragma once
// The confidence table of a weights file as JSON, the optional field "confidence" of its metadata:
//
//   {"frequency_per_A": [..], "nominal_per_A": [..], "half_map_fsc": [..],   nodes, ascending, 1 to 256 each
//    "lambda": [..],                        0 .. 1, one per node, the last quantity fastest
//    "prior_weight": ..,                    1 to 1e6; 1 where absent
//    "measured": {..}}                      free in form: on what, with which error
//
// Versions that do not know the field ignore it.

#include <nlohmann/json.hpp>
#include <string>

#include "core/reconstruct/confidence_table.hpp"
#include "models/weights_file.hpp"

namespace cryored {

nlohmann::json confidence_json(const ConfidenceTable& table);

/// Throws InputError naming `where`, field, value, what is allowed and the remedy.
ConfidenceTable read_confidence(const nlohmann::json& json, const std::string& where);

/// The table of `info`. Throws InputError that names the remedy where the file has none.
const ConfidenceTable& confidence_of(const WeightsInfo& info);

/// Writes the weights of `from` with another table and what was measured, all else unchanged, to `to`, atomically (both
/// may be the same file). Throws InputError and SystemError.
WeightsInfo save_confidence(const std::string& from, const ConfidenceTable& table, const nlohmann::json& measured,
                            const std::string& to);

}  // namespace cryored
