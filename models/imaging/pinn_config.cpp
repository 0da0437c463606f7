#include "models/imaging/pinn_config.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "core/base/error.hpp"

namespace cryored {
namespace {

constexpr std::array<std::pair<PinnChannel, const char*>, 4> kChannels{{{PinnChannel::previous, "previous"},
                                                                        {PinnChannel::observation, "observation"},
                                                                        {PinnChannel::amplitude, "amplitude"},
                                                                        {PinnChannel::wiener, "wiener"}}};

void require(const char* field, int value, int low, int high) {
  if (value < low || value > high)
    throw UsageError(Problem{"phase network", field, std::to_string(value),
                             std::to_string(low) + " to " + std::to_string(high), "choose a value in this range"});
}

}  // namespace

const char* to_string(PinnChannel channel) {
  for (const auto& [value, name] : kChannels)
    if (value == channel) return name;
  return "";
}

bool from_string(const std::string& text, PinnChannel& channel) {
  for (const auto& [value, name] : kChannels)
    if (text == name) {
      channel = value;
      return true;
    }
  return false;
}

void PinnConfig::check() const {
  require("stages", stages, 1, 100);
  require("levels", levels, 1, 7);
  require("width", width, 1, 512);
  require("convs_per_level", convs_per_level, 1, 8);
  for (auto i = channels.begin(); i != channels.end(); ++i)
    if (std::find(channels.begin(), i, *i) != i)
      throw UsageError(Problem{"phase network", "channels", std::string(to_string(*i)) + " twice", "each channel once",
                               "name it once"});
}

std::string PinnConfig::name() const {
  const PinnConfig standard;
  std::string s = "pinn" + std::to_string(stages) + "-unet" + std::to_string(levels) + "-w" + std::to_string(width);
  if (shared) s += "-shared";
  if (convs_per_level != standard.convs_per_level) s += "-c" + std::to_string(convs_per_level);
  if (!residual) s += "-direct";
  if (!scaled) s += "-unscaled";
  for (const auto channel : channels) s += std::string("-") + to_string(channel);
  return s;
}

nlohmann::json to_json(const PinnConfig& c) {
  nlohmann::json channels = nlohmann::json::array();
  for (const auto channel : c.channels) channels.push_back(to_string(channel));
  return {{"type", kPinnType},      {"stages", c.stages}, {"shared", c.shared},
          {"levels", c.levels},     {"width", c.width},   {"convs_per_level", c.convs_per_level},
          {"residual", c.residual}, {"scaled", c.scaled}, {"channels", channels}};
}

PinnConfig pinn_config(const nlohmann::json& json, const std::string& where) {
  const auto refuse = [&](const std::string& field, const std::string& allowed) {
    throw InputError(Problem{where + ": architecture", field,
                             json.is_object() && json.contains(field) ? json[field].dump().substr(0, 60) : "nothing",
                             allowed, "give the weights of a phase network (cryored weights lists what a file is)"});
  };
  const auto integer = [&](const char* field, int& value) {
    if (!json.contains(field) || !json[field].is_number_integer() || json[field] < 0 || json[field] > 100000)
      refuse(field, "a whole number");
    value = json[field].get<int>();
  };
  const auto flag = [&](const char* field, bool& value) {
    if (!json.contains(field) || !json[field].is_boolean()) refuse(field, "true or false");
    value = json[field].get<bool>();
  };
  if (!json.is_object() || !json.contains("type") || json["type"] != kPinnType) refuse("type", kPinnType);
  PinnConfig c;
  integer("stages", c.stages);
  flag("shared", c.shared);
  integer("levels", c.levels);
  integer("width", c.width);
  integer("convs_per_level", c.convs_per_level);
  flag("residual", c.residual);
  flag("scaled", c.scaled);
  if (!json.contains("channels") || !json["channels"].is_array()) refuse("channels", "a list of names");
  for (const auto& item : json["channels"]) {
    PinnChannel channel{};
    if (!item.is_string() || !from_string(item.get<std::string>(), channel))
      refuse("channels", "previous, observation, amplitude, wiener");
    c.channels.push_back(channel);
  }
  try {
    c.check();
  } catch (const UsageError& e) {
    throw InputError(where + ": " + e.what());
  }
  return c;
}

}  // namespace cryored
