// B and K of a request: shapes, truncation, and every bad number at every kind of place.

#include <limits>

#include "core/reconstruct/request.hpp"
#include "request_testing.hpp"

namespace cryored::testing {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

std::string rejection(const Case& c) {
  return message_of<InputError>([&] { open_arrays(read_request(c.star)); });
}

TEST(RequestArrays, OpensAllShapes) {
  struct Shape {
    int box;
    double padding;
    int dimensionality;
  };
  for (const Shape& s : {Shape{8, 1, 3}, {8, 2, 3}, {10, 1.5, 3}, {8, 1.1, 3}, {8, 2, 2}, {16, 1, 2}}) {
    const Case c(s.box, s.padding, s.dimensionality);
    const RequestArrays arrays = open_arrays(read_request(c.star));
    for (const MrcFile* file : {&arrays.real, &arrays.imag, &arrays.weight}) {
      ASSERT_NE(file->float_data(), nullptr);
      EXPECT_EQ(file->float_data()[5], 5.5f);
    }
  }
}

TEST(RequestArrays, WrongDimensions) {
  for (const char* part : {"data_real", "data_imag", "weight"}) {
    const Case c;
    c.write_array(part, Map(5, 8, 8));  // that of padding 1
    expect_parts(rejection(c), {c.array_path(part), "dimensions", c.star, "5 x 8 x 8",
                                "9 x 16 x 16 for box 8, padding 2, 3D", "Remedy"});
  }
  const Case flat(8, 2, 2);
  flat.write_array("weight", Map(9, 16, 16));
  expect_parts(rejection(flat), {"9 x 16 x 16", "9 x 16 x 1 for box 8", "2D"});
}

TEST(RequestArrays, MissingOrTruncated) {
  for (const char* part : {"data_real", "data_imag", "weight"}) {
    const Case c;
    std::filesystem::resize_file(c.array_path(part), 1024 + 100);
    expect_parts(rejection(c), {c.array_path(part), "1124 bytes (truncated)", "10240 bytes", "Remedy"});
    std::filesystem::resize_file(c.array_path(part), 1024);
    expect_parts(rejection(c), {"1024 bytes (truncated)"});
    std::filesystem::resize_file(c.array_path(part), 0);
    expect_parts(rejection(c), {"0 bytes"});
    std::filesystem::remove(c.array_path(part));
    expect_parts(rejection(c), {c.array_path(part), "No such file", "working directory"});
  }
}

TEST(RequestArrays, OtherModesAreRefused) {
  const Case c;
  write_mrc(c.array_path("weight"), c.array(), 0, MrcMode::float16);
  expect_parts(rejection(c), {c.array_path("weight"), "mode (word 4)", "found 12", "2 (float32"});
}

// The scan counts in blocks of 65536 and looks for the place afterwards, so bad numbers are put at
// the ends of blocks, in the last incomplete one, and several at once.
TEST(RequestArrays, FirstBadVoxelIsNamed) {
  const Case c(64, 1, 3);
  const Map good = c.array();
  ASSERT_EQ(good.size(), 135168u);
  struct Bad {
    const char* part;
    const char* label;
    float value;
    const char* shown;
  };
  for (const Bad& bad : {Bad{"data_real", "_rlnExtReconsDataReal", kNan, "nan"},
                         {"data_real", "_rlnExtReconsDataReal", -kInf, "-inf"},
                         {"data_imag", "_rlnExtReconsDataImag", kInf, "inf"},
                         {"data_imag", "_rlnExtReconsDataImag", kNan, "nan"},
                         {"weight", "_rlnExtReconsWeight", kNan, "nan"},
                         {"weight", "_rlnExtReconsWeight", kInf, "inf"},
                         {"weight", "_rlnExtReconsWeight", -0.001f, "-0.001"}}) {
    for (const std::size_t at : {std::size_t{0}, std::size_t{65535}, std::size_t{65536}, std::size_t{135167}}) {
      Map map = good;
      map.data[at] = bad.value;
      map.data[135167] = bad.value;
      c.write_array(bad.part, map);
      const std::string place = "voxel (x, y, z) = (" + std::to_string(at % 33) + ", " + std::to_string(at / 33 % 64) +
                                ", " + std::to_string(at / 33 / 64) + ")";
      expect_parts(rejection(c),
                   {c.array_path(bad.part), bad.label, std::string("found ") + bad.shown, place, "finite", "Remedy"});
    }
    c.write_array(bad.part, good);
  }
  open_arrays(read_request(c.star));
}

TEST(RequestArrays, FirstBadVoxelWithThreads) {
  const Case c(128, 1, 3);  // large enough for the parallel scan
  Map map = c.array();
  map(3, 100, 40) = -1;
  map(64, 127, 127) = kNan;
  c.write_array("weight", map);
  expect_parts(rejection(c), {"found -1 at voxel (x, y, z) = (3, 100, 40)", "0 or more"});
}

TEST(RequestArrays, NegativeZeroZeroAndSubnormalAreFine) {
  const Case c;
  Map map = c.array();
  map.data[0] = -0.0f;
  map.data[1] = 0.0f;
  map.data[2] = std::numeric_limits<float>::denorm_min();
  c.write_array("weight", map);
  map.data[3] = -5;  // B may be negative
  c.write_array("data_real", map);
  EXPECT_NO_THROW(open_arrays(read_request(c.star)));
}

// Largest weight 16.5: rounding ends at -1.65e-5.
TEST(RequestArrays, NegativeWeightWithinRounding) {
  const Case c;
  Map map = c.array();
  map.data[7] = -1.6e-5f;
  c.write_array("weight", map);
  EXPECT_NO_THROW(open_arrays(read_request(c.star)));
  map.data[9] = -1.7e-5f;
  c.write_array("weight", map);
  expect_parts(rejection(c), {"found -1.7e-05 at voxel (x, y, z) = (0, 1, 0)", "within rounding"});
  map.fill(-0.0f);
  map.data[3] = -1e-30f;  // no positive weight: nothing that it could be a rounding of
  c.write_array("weight", map);
  expect_parts(rejection(c), {"found -1e-30 at voxel (x, y, z) = (3, 0, 0)"});
}

TEST(RequestArrays, WeightAllZero) {
  const Case c;
  Map map = c.array();
  map.fill(0);
  c.write_array("data_real", map);  // B alone may be zero
  EXPECT_NO_THROW(open_arrays(read_request(c.star)));
  c.write_array("weight", map);
  expect_parts(rejection(c), {c.array_path("weight"), "_rlnExtReconsWeight", "zeros only", "Remedy"});
}

}  // namespace
}  // namespace cryored::testing
