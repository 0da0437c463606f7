#pragma once
// JSON as it goes into files and to stdout.

#include <string>

namespace cryored {

/// Text of an nlohmann JSON value, in one line where `indent` is below 0. Bytes that are not UTF-8, which a path may
/// hold, become U+FFFD; dump() alone throws at them.
template <class Json>
std::string json_text(const Json& json, int indent = -1) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace cryored
