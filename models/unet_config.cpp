#include "models/unet_config.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "core/base/error.hpp"

namespace cryored {
namespace {

template <typename E>
using Names = std::array<std::pair<E, const char*>, 3>;

constexpr Names<Norm> kNorms{{{Norm::instance, "instance"}, {Norm::group, "group"}, {Norm::none, "none"}}};
constexpr Names<Activation> kActivations{
    {{Activation::silu, "silu"}, {Activation::relu, "relu"}, {Activation::leaky_relu, "leaky_relu"}}};
constexpr std::array<std::pair<Down, const char*>, 2> kDowns{
    {{Down::max_pool, "max_pool"}, {Down::strided, "strided"}}};
constexpr std::array<std::pair<Up, const char*>, 2> kUps{
    {{Up::transposed, "transposed"}, {Up::trilinear, "trilinear"}}};

template <typename Table, typename E>
const char* name_of(const Table& table, E value) {
  for (const auto& [v, name] : table)
    if (v == value) return name;
  return "?";
}

template <typename Table, typename E>
bool value_of(const Table& table, const std::string& text, E& value) {
  for (const auto& [v, name] : table)
    if (text == name) {
      value = v;
      return true;
    }
  return false;
}

void require(const char* field, int value, int low, int high) {
  if (value < low || value > high)
    throw UsageError(Problem{"network architecture", field, std::to_string(value),
                             std::to_string(low) + " to " + std::to_string(high), "choose a value in this range"});
}

/// One convolution as the counts see it: kernel volume, channels, level whose voxels it writes.
template <typename Visitor>
void each_convolution(const UNetConfig& c, Visitor visit) {
  const auto level_convs = [&](int in, int level) {
    for (int i = 0; i < c.convs_per_level; ++i)
      visit(27, i == 0 ? in : c.channels(level), c.channels(level), level, true);
  };
  level_convs(c.first_channels(), 0);
  for (int l = 1; l < c.levels; ++l) {
    if (c.down == Down::strided) visit(8, c.channels(l - 1), c.channels(l - 1), l, false);
    level_convs(c.channels(l - 1), l);
  }
  for (int l = c.levels - 2; l >= 0; --l) {
    // A transposed convolution spends kernel * in * out on each voxel that it reads, one of the lower level.
    if (c.up == Up::transposed)
      visit(8, c.channels(l + 1), c.channels(l), l + 1, false);
    else
      visit(1, c.channels(l + 1), c.channels(l), l, false);
    level_convs(2 * c.channels(l), l);
  }
}

}  // namespace

int UNetConfig::channels(int level) const {
  return std::min<std::int64_t>(width_cap, static_cast<std::int64_t>(width) << level);
}

void UNetConfig::check() const {
  require("levels", levels, 1, 8);
  require("width", width, 8, 512);
  require("width_cap", width_cap, width, 4096);
  require("in_channels", in_channels, 1, 16);
  require("convs_per_level", convs_per_level, 1, 8);
  if (norm == Norm::group && (width % 8 != 0 || width_cap % 8 != 0))
    throw UsageError(Problem{"network architecture", "width",
                             std::to_string(width) + ", cap " + std::to_string(width_cap),
                             "multiples of 8 with norm \"group\"", "choose another width or norm"});
}

std::string UNetConfig::name() const {
  const UNetConfig standard;
  std::string s = "unet" + std::to_string(levels) + "-w" + std::to_string(width);
  if (width_cap != standard.width_cap) s += "-cap" + std::to_string(width_cap);
  if (in_channels != standard.in_channels) s += "-in" + std::to_string(in_channels);
  if (deviation) s += "-dev";
  if (convs_per_level != standard.convs_per_level) s += "-c" + std::to_string(convs_per_level);
  if (norm != standard.norm) s += std::string("-norm_") + to_string(norm);
  if (activation != standard.activation) s += std::string("-") + to_string(activation);
  if (down != standard.down) s += std::string("-") + to_string(down);
  if (up != standard.up) s += std::string("-") + to_string(up);
  if (residual_blocks) s += "-res";
  if (mask_head) s += "-mask";
  return s;
}

double unet_flop(const UNetConfig& config, std::int64_t nx, std::int64_t ny, std::int64_t nz) {
  config.check();
  const double voxels = static_cast<double>(nx) * static_cast<double>(ny) * static_cast<double>(nz);
  double flop = 2.0 * config.out_channels() * config.channels(0) * voxels;  // the last 1^3 convolution
  each_convolution(config, [&](int kernel, int in, int out, int level, bool) {
    flop += 2.0 * kernel * in * out * voxels / static_cast<double>(std::int64_t{1} << (3 * level));
  });
  return flop;
}

std::int64_t unet_parameters(const UNetConfig& config) {
  config.check();
  std::int64_t count = config.out_channels() * (config.channels(0) + 1);
  each_convolution(config, [&](int kernel, int in, int out, int, bool normed) {
    count += static_cast<std::int64_t>(kernel) * in * out;
    // A normalised convolution has the norm's weight and bias, any other its own bias.
    count += normed && config.norm != Norm::none ? 2 * out : out;
  });
  return count;
}

const char* to_string(Norm value) { return name_of(kNorms, value); }
const char* to_string(Activation value) { return name_of(kActivations, value); }
const char* to_string(Down value) { return name_of(kDowns, value); }
const char* to_string(Up value) { return name_of(kUps, value); }
bool from_string(const std::string& text, Norm& value) { return value_of(kNorms, text, value); }
bool from_string(const std::string& text, Activation& value) { return value_of(kActivations, text, value); }
bool from_string(const std::string& text, Down& value) { return value_of(kDowns, text, value); }
bool from_string(const std::string& text, Up& value) { return value_of(kUps, text, value); }

}  // namespace cryored
