// MRC: every mode and byte order read, both modes written.

#include "core/formats/mrc.hpp"

#include <cmath>
#include <gemmi/ccp4.hpp>
#include <limits>
#include <random>

#include "core/formats/half_float.hpp"
#include "mrc_testing.hpp"

namespace cryored::testing {
namespace {

class MrcOrder : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Orders, MrcOrder, ::testing::Bool(),
                         [](const auto& one) { return one.param ? "big_endian" : "little_endian"; });

TEST_P(MrcOrder, AllModes) {
  const TempFolder folder;
  const bool big = GetParam();
  const float expected[6] = {-3, 0, 1, 7, 100, 127};
  for (const int mode : {0, 1, 2, 6, 12}) {
    RawMrc raw(3, 2, 1, mode, big);
    for (float v : expected) {
      if (mode == 6 && v < 0) v = 65533;
      std::uint16_t half;
      float_to_half(&v, &half, 1);
      switch (mode) {
        case 0:
          raw.add(static_cast<std::int8_t>(v));
          break;
        case 1:
          raw.add(static_cast<std::int16_t>(v));
          break;
        case 2:
          raw.add(v);
          break;
        case 6:
          raw.add(static_cast<std::uint16_t>(v));
          break;
        default:
          raw.add(half);
      }
    }
    MrcHeader header;
    const Map map = read_mrc(raw.write(folder / "m.mrc"), &header);
    EXPECT_EQ(header.mode, mode);
    EXPECT_EQ(header.swapped, big);
    EXPECT_FLOAT_EQ(static_cast<float>(header.pixel_size), 2.5f);
    ASSERT_EQ(map.size(), 6u);
    EXPECT_EQ(map.nx, 3u);
    EXPECT_EQ(map.ny, 2u);
    for (std::size_t i = 0; i < 6; ++i) EXPECT_EQ(map.data[i], mode == 6 && i == 0 ? 65533 : expected[i]) << mode;
  }
}

TEST_P(MrcOrder, MachineStampMissing) {
  const TempFolder folder;
  RawMrc raw(4, 1, 1, 2, GetParam());
  raw.set_bytes(212, std::string(4, '\0'));
  for (const float v : {1.f, -2.f, 3.5f, 4.f}) raw.add(v);
  const Map map = read_mrc(raw.write(folder / "m.mrc"));
  EXPECT_EQ(map.data[2], 3.5f);
}

TEST_P(MrcOrder, MachineStampOfAnotherFile) {
  const TempFolder folder;
  RawMrc raw(4, 1, 1, 2, GetParam());
  raw.set_bytes(212, GetParam() ? "\x44\x44" : "\x11\x11");
  for (const float v : {1.f, -2.f, 3.5f, 4.f}) raw.add(v);
  EXPECT_EQ(read_mrc(raw.write(folder / "m.mrc")).data[2], 3.5f);
}

TEST(Mrc, ExtendedHeaderIsSkipped) {
  const TempFolder folder;
  for (const std::size_t length : {80u, 3u}) {  // a length that is no multiple of 4 leaves the data unaligned
    RawMrc raw(2, 1, 1, 2);
    raw.extended(length).add(5.f).add(6.f);
    const MrcFile file(raw.write(folder / "m.mrc"));
    EXPECT_EQ(file.header().data_offset, 1024 + length);
    EXPECT_EQ(file.float_data() != nullptr, length % 4 == 0);
    EXPECT_EQ(file.read().data[1], 6.f);
  }
}

TEST(Mrc, TrailingBytesAreTolerated) {
  const TempFolder folder;
  RawMrc raw(2, 1, 1, 2);
  raw.add(5.f).add(6.f);
  write_bytes(folder / "m.mrc", raw.bytes() + "tail");
  EXPECT_EQ(read_mrc(folder / "m.mrc").data[1], 6.f);
}

TEST(Mrc, ImodUnsignedBytes) {
  const TempFolder folder;
  RawMrc raw(2, 1, 1, 0);
  raw.set(38, std::int32_t{1146047817}).add(std::uint8_t{200}).add(std::uint8_t{5});
  EXPECT_EQ(read_mrc(raw.write(folder / "m.mrc")).data[0], 200.f);
  raw.set(39, std::int32_t{1});
  EXPECT_EQ(read_mrc(raw.write(folder / "m.mrc")).data[0], -56.f);
}

TEST(Mrc, SectionsOfAStack) {
  const TempFolder folder;
  RawMrc raw(2, 2, 3, 1);
  raw.set(22, 0);
  for (std::int16_t i = 0; i < 12; ++i) raw.add(i);
  const MrcFile file(raw.write(folder / "s.mrcs"));
  EXPECT_TRUE(file.header().is_stack);
  EXPECT_EQ(file.float_data(), nullptr);
  float section[4];
  file.read_section(2, section);
  EXPECT_EQ(section[0], 8.f);
  EXPECT_EQ(section[3], 11.f);
  expect_parts(message_of<InputError>([&] { file.read_section(3, section); }),
               {folder / "s.mrcs", "section", "found 4", "1 to 3", "Remedy"});
}

TEST(Mrc, PixelSizeUnknown) {
  const TempFolder folder;
  RawMrc raw(1, 1, 1, 2);
  raw.add(0.f).set(7, 0);
  EXPECT_EQ(read_mrc_header(raw.write(folder / "m.mrc")).pixel_size, 0);
  raw.set(7, 1).set(10, std::numeric_limits<float>::quiet_NaN());
  EXPECT_EQ(read_mrc_header(raw.write(folder / "m.mrc")).pixel_size, 0);
  raw.set(10, -1.f);
  EXPECT_EQ(read_mrc_header(raw.write(folder / "m.mrc")).pixel_size, 0);
}

Map random_map(std::size_t nx, std::size_t ny, std::size_t nz) {
  Map map(nx, ny, nz);
  std::mt19937 generator(7);
  std::normal_distribution<float> normal(3, 2);
  for (float& v : map.data) v = normal(generator);
  return map;
}

TEST(Mrc, Float32RoundTripIsExact) {
  const TempFolder folder;
  const Map map = random_map(5, 4, 3);
  write_mrc(folder / "m.mrc", map, 1.25);
  MrcHeader header;
  const Map back = read_mrc(folder / "m.mrc", &header);
  EXPECT_TRUE(back.data == map.data);
  EXPECT_EQ(header.pixel_size, 1.25);
  EXPECT_FALSE(header.is_stack);
  EXPECT_EQ(folder.names().size(), 1u);
  const MrcFile file(folder / "m.mrc");
  ASSERT_NE(file.float_data(), nullptr);
  EXPECT_EQ(file.float_data()[59], map.data[59]);
}

TEST(Mrc, PlacementIsKept) {
  const TempFolder folder;
  const MrcPlacement placement{{5, -6, 7}, {10, 20.5f, -30}};
  write_mrc(folder / "m.mrc", random_map(5, 4, 3), 1.25, MrcMode::float32, false, placement);
  const MrcHeader header = read_mrc_header(folder / "m.mrc");
  EXPECT_EQ(header.placement.start, placement.start);
  EXPECT_EQ(header.placement.origin, placement.origin);
}

TEST(Mrc, PixelSizesBeyondBeliefAreRefused) {
  MrcHeader header;
  for (const double wrong : {0.0, 1e-7, 1001.0}) {
    header.pixel_size = wrong;
    const std::string message = message_of<InputError>([&] { required_pixel_size(header, "a.mrc"); });
    EXPECT_NE(message.find("a.mrc"), std::string::npos) << message;
    EXPECT_NE(message.find("0.01 to 1000 A"), std::string::npos) << message;
  }
  header.pixel_size = 1.5;
  EXPECT_EQ(required_pixel_size(header, "a.mrc"), 1.5);
}

// gemmi reads and checks what we write: statistics, machine stamp, axis order, cell.
TEST(Mrc, GemmiReadsWhatWeWrite) {
  const TempFolder folder;
  const Map map = random_map(6, 6, 6);
  write_mrc(folder / "m.mrc", map, 1.5);
  gemmi::Ccp4<float> other;
  other.read_ccp4_file(folder / "m.mrc");
  EXPECT_EQ(other.header_i32(28), 20140);
  EXPECT_FLOAT_EQ(other.header_float(11), 9.f);
  double sum = 0, square = 0;
  for (const float v : map.data) sum += v, square += static_cast<double>(v) * v;
  const double mean = sum / 216, rms = std::sqrt(square / 216 - mean * mean);
  EXPECT_NEAR(other.hstats.dmean, mean, 1e-6);
  EXPECT_NEAR(other.hstats.rms, rms, 1e-6);
  EXPECT_EQ(other.hstats.dmin, *std::min_element(map.data.begin(), map.data.end()));
  EXPECT_EQ(other.hstats.dmax, *std::max_element(map.data.begin(), map.data.end()));
  EXPECT_EQ(other.grid.get_value(4, 2, 5), map(4, 2, 5));
}

TEST(Mrc, StatisticsOfAnyCountOffsetAndSize) {
  struct Case {
    std::size_t count;
    float offset, size, first;  // the first value stands apart
  };
  for (const auto& [count, offset, size, first] : {Case{1, 3, 1, 3},
                                                   {15, 0, 1, 0},
                                                   {16, 0, 1, 0},
                                                   {512, 1e4f, 1, 1e4f},
                                                   {513, 0, 1, 0},
                                                   {9217, -5, 2, -5},
                                                   {100003, 0, 1, 1e6f},
                                                   {5000, 0, 1e25f, 0},
                                                   {5000, 1, 1e-12f, 1}}) {
    std::vector<float> values(count);
    std::mt19937 engine(3);
    std::normal_distribution<float> normal;
    for (float& v : values) v = offset + size * normal(engine);
    values[0] = first;
    MrcStatistics whole, pieces;
    whole.add(values.data(), count);
    for (std::size_t i = 0; i < count; i += 700) pieces.add(values.data() + i, std::min<std::size_t>(700, count - i));
    double sum = 0, square = 0;
    for (const float v : values) sum += v;
    const double mean = sum / static_cast<double>(count);
    for (const float v : values) square += (v - mean) * (v - mean);
    const double rms = std::sqrt(square / static_cast<double>(count));
    for (const MrcStatistics& s : {whole, pieces}) {
      EXPECT_NEAR(s.mean(), mean, 1e-6 * (rms + std::abs(mean))) << count << ", " << first;
      EXPECT_NEAR(s.rms(), rms, 1e-5 * rms) << count << ", " << first;
      EXPECT_EQ(s.low, *std::min_element(values.begin(), values.end()));
      EXPECT_EQ(s.high, *std::max_element(values.begin(), values.end()));
    }
  }
}

TEST(Mrc, Float16RoundTripWithinHalfAnUlp) {
  const TempFolder folder;
  const Map map = random_map(7, 5, 3);
  write_mrc(folder / "m.mrc", map, 1, MrcMode::float16);
  MrcHeader header;
  const Map back = read_mrc(folder / "m.mrc", &header);
  EXPECT_EQ(header.mode, 12);
  EXPECT_EQ(header.data_bytes, 210u);
  for (std::size_t i = 0; i < map.size(); ++i)
    EXPECT_NEAR(back.data[i], map.data[i], std::abs(map.data[i]) / 2048 + 3e-8);
}

TEST(Mrc, StackWriterEqualsWholeStack) {
  const TempFolder folder;
  const Map map = random_map(8, 6, 5);
  write_mrc(folder / "whole.mrcs", map, 2, MrcMode::float32, true);
  MrcStackWriter writer(folder / "pieces.mrcs", 8, 6, 5, 2);
  for (std::size_t z = 0; z < 5; ++z) writer.append(&map(0, 0, z));
  EXPECT_FALSE(std::filesystem::exists(folder / "pieces.mrcs"));
  writer.close();
  writer.close();
  EXPECT_EQ(read_bytes(folder / "pieces.mrcs"), read_bytes(folder / "whole.mrcs"));
  EXPECT_TRUE(read_mrc_header(folder / "pieces.mrcs").is_stack);
}

TEST(Mrc, SectionsOfABlockComeInAnyOrder) {
  const TempFolder folder;
  const Map map = random_map(8, 6, 5);
  for (const MrcMode mode : {MrcMode::float32, MrcMode::float16}) {
    write_mrc(folder / "whole.mrcs", map, 2, mode, true);
    MrcStackWriter writer(folder / "pieces.mrcs", 8, 6, 5, 2, mode);
    writer.append(&map(0, 0, 0));
    writer.open_block(3);
    for (const std::size_t i : {2, 0, 1}) writer.put(i, &map(0, 0, 1 + i));
    writer.append(&map(0, 0, 4));
    writer.close();
    EXPECT_EQ(read_bytes(folder / "pieces.mrcs"), read_bytes(folder / "whole.mrcs"));
  }
  MrcStackWriter writer(folder / "left out.mrcs", 8, 6, 5, 2);
  writer.open_block(5);
  for (const std::size_t i : {4, 0, 1, 3}) writer.put(i, &map(0, 0, i));
  EXPECT_THROW(writer.close(), Error);
  EXPECT_FALSE(std::filesystem::exists(folder / "left out.mrcs"));
}

TEST(Mrc, WrittenTwiceIsEqual) {
  const TempFolder folder;
  const Map map = random_map(4, 4, 4);
  write_mrc(folder / "a.mrc", map, 1);
  write_mrc(folder / "b.mrc", map, 1);
  EXPECT_EQ(read_bytes(folder / "a.mrc"), read_bytes(folder / "b.mrc"));
}

}  // namespace
}  // namespace cryored::testing
