// MRC: every header that cannot be right, and every write that cannot be done.

#include <sys/resource.h>
#include <sys/stat.h>

#include <limits>

#include "core/formats/mrc.hpp"
#include "mrc_testing.hpp"

namespace cryored::testing {
namespace {

RawMrc good() {
  RawMrc raw(2, 2, 2, 2);
  for (int i = 0; i < 8; ++i) raw.add(1.f);
  return raw;
}

struct BadHeader {
  const char* name;
  void (*spoil)(RawMrc&);
  std::vector<std::string> parts;
};

class MrcBad : public ::testing::TestWithParam<BadHeader> {};

TEST_P(MrcBad, MessageNamesFileFieldValueRemedy) {
  const TempFolder folder;
  RawMrc raw = good();
  GetParam().spoil(raw);
  const std::string path = raw.write(folder / "bad.mrc");
  for (const bool header_only : {true, false}) {
    const std::string message =
        message_of<InputError>([&] { header_only ? void(read_mrc_header(path)) : void(MrcFile(path)); });
    expect_parts(message, GetParam().parts);
    expect_parts(message, {path, "Remedy"});
  }
}

INSTANTIATE_TEST_SUITE_P(
    Headers, MrcBad,
    ::testing::Values(
        BadHeader{"zero_nx", [](RawMrc& r) { r.set(0, 0); }, {"nx (word 1)", "found 0"}},
        BadHeader{"negative_ny", [](RawMrc& r) { r.set(1, -5); }, {"ny (word 2)", "found -5"}},
        BadHeader{
            "nz_too_large", [](RawMrc& r) { r.set(2, 3); }, {"1056 bytes (truncated)", "1072 bytes", "2 x 2 x 3"}},
        BadHeader{"overflowing_product",
                  [](RawMrc& r) { r.set(0, 2147483647).set(1, 2147483647).set(2, 2147483647); },
                  {"nx ny nz", "2147483647 x 2147483647 x 2147483647", "2^50"}},
        // 2^31 * 2^31 * 2^2 bytes wraps to zero in 64 bits.
        BadHeader{"product_that_wraps_to_small",
                  [](RawMrc& r) { r.set(0, 1 << 30).set(1, 1 << 30).set(2, 4); },
                  {"nx ny nz", "1073741824"}},
        BadHeader{"mode_4", [](RawMrc& r) { r.set(3, 4); }, {"mode (word 4)", "found 4", "12 (float16)"}},
        BadHeader{"mode_negative", [](RawMrc& r) { r.set(3, -1); }, {"mode (word 4)", "found -1"}},
        BadHeader{"mode_101", [](RawMrc& r) { r.set(3, 101); }, {"mode (word 4)", "found 101"}},
        BadHeader{"negative_extended", [](RawMrc& r) { r.set(23, -4); }, {"nsymbt (word 24", "found -4"}},
        BadHeader{"extended_beyond_file", [](RawMrc& r) { r.set(23, 2000000000); }, {"truncated", "2000001056 bytes"}},
        BadHeader{"axes_permuted", [](RawMrc& r) { r.set(16, 3).set(18, 1); }, {"mapc mapr maps", "3 2 1", "1 2 3"}}),
    [](const auto& one) { return one.param.name; });

TEST(MrcBadFile, AGzippedFileIsToldAsSuch) {
  const TempFolder folder;
  const std::string path = folder / "map.mrc.gz";
  write_bytes(path, "\x1f\x8b\x08" + std::string(2000, 'z'));
  expect_parts(message_of<InputError>([&] { read_mrc_header(path); }), {path, "gzipped", "gunzip it first"});
}

TEST(MrcBadFile, TruncatedAnywhere) {
  const TempFolder folder;
  const std::string whole = good().bytes();
  for (const std::size_t length :
       {std::size_t{0}, std::size_t{1}, std::size_t{1023}, std::size_t{1024}, whole.size() - 1}) {
    write_bytes(folder / "t.mrc", whole.substr(0, length));
    const std::string message = message_of<InputError>([&] { MrcFile file(folder / "t.mrc"); });
    expect_parts(message, {folder / "t.mrc", "file size", std::to_string(length) + " bytes", "Remedy"});
    EXPECT_EQ(message_of<InputError>([&] { read_mrc_header(folder / "t.mrc"); }), message);
  }
}

TEST(MrcBadFile, MissingFolderOrPipe) {
  const TempFolder folder;
  expect_parts(message_of<InputError>([&] { MrcFile file(folder / "absent.mrc"); }),
               {folder / "absent.mrc", "No such file", "Remedy"});
  expect_parts(message_of<InputError>([&] { MrcFile file(folder.path()); }), {folder.path(), "a folder or device"});
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
  expect_parts(message_of<InputError>([&] { MrcFile file(folder / "pipe"); }), {"a folder or device"});
}

TEST(MrcBadFile, TextFile) {
  const TempFolder folder;
  write_bytes(folder / "x.mrc", std::string(5000, '#'));
  expect_parts(message_of<InputError>([&] { read_mrc(folder / "x.mrc"); }), {folder / "x.mrc", "MRC header"});
}

TEST(MrcWriteBad, ValueBeyondFloat16) {
  const TempFolder folder;
  Map map(4, 3, 2);
  map.fill(0);
  map(1, 2, 1) = 70000;
  expect_parts(message_of<InputError>([&] { write_mrc(folder / "m.mrc", map, 1, MrcMode::float16); }),
               {folder / "m.mrc", "(1, 2, 1)", "70000", "65504", "mode 2"});
  EXPECT_TRUE(folder.names().empty());
}

TEST(MrcWriteBad, SizeAndPixelSize) {
  const TempFolder folder;
  expect_parts(message_of<InputError>([&] { write_mrc(folder / "m.mrc", Map(), 1); }), {"0 x 0 x 0"});
  Map map(1, 1, 1);
  map.fill(0);
  for (const double bad : {-1.0, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()})
    expect_parts(message_of<InputError>([&] { write_mrc(folder / "m.mrc", map, bad); }), {"pixel size"});
  EXPECT_TRUE(folder.names().empty());
}

TEST(MrcWriteBad, StackNotComplete) {
  const TempFolder folder;
  const float section[4] = {};
  {
    MrcStackWriter writer(folder / "s.mrcs", 2, 2, 2, 1);
    writer.append(section);
    expect_parts(message_of<Error>([&] { writer.close(); }), {folder / "s.mrcs", "1 sections written", "2 sections"});
  }
  EXPECT_TRUE(folder.names().empty());
  MrcStackWriter writer(folder / "s.mrcs", 2, 2, 1, 1);
  writer.append(section);
  EXPECT_THROW(writer.append(section), Error);
}

TEST(MrcWriteBad, FolderMissing) {
  const TempFolder folder;
  Map map(1, 1, 1);
  map.fill(0);
  expect_parts(message_of<SystemError>([&] { write_mrc(folder / "absent/m.mrc", map, 1); }),
               {folder / "absent/m.mrc", "create the folder"});
}

}  // namespace
}  // namespace cryored::testing
