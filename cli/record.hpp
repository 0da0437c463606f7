#pragma once
// The JSON record that each reconstruction leaves beside its result (docs/record.md).

#include <nlohmann/json.hpp>
#include <string>

#include "cli/options.hpp"

namespace cryored {

using Json = nlohmann::ordered_json;

constexpr const char* record_schema = "cryored-record";
constexpr int record_version = 1;

/// "<folder>/<result without .mrc>_cryored.json".
std::string record_path(const std::string& result_path);

/// {"path", "bytes", "modified_ns"} of an existing file; null sizes when it cannot be examined.
Json file_entry(const std::string& path, const Surroundings& surroundings = {});

/// {"<option>": {"value", "source"}} of everything in force.
Json options_entry(const Settings& settings);

/// Schema, time (UTC, ISO 8601), host, pid, working directory, program: the same in every record.
Json start_record(const Surroundings& surroundings = {});

/// Writes atomically, replacing an older record.
void write_record(const std::string& path, const Json& record);

}  // namespace cryored
