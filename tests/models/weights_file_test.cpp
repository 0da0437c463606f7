// The weights file: round trips, every kind of damage, the search for files.

#include "models/weights_file.hpp"

#include <torch/types.h>

#include <cmath>
#include <cstring>
#include <fstream>

#include "core/base/sha256.hpp"
#include "models/unet_weights.hpp"
#include "models/weights_confidence.hpp"
#include "tests/models/models_testing.hpp"
#include "tests/models/random_network.hpp"

namespace cryored {
namespace {

using testing::expect_error;
using testing::random_network;
using testing::TemporaryFolder;

WeightsInfo metadata() {
  WeightsInfo info;
  info.name = "test";
  info.licence = "CC0-1.0";
  info.date = "2026-01-31";
  info.voxel_size = 2.5;
  info.block = 48;
  info.normalisation = Normalisation::contrast;
  info.training = {{"structures", 355}};
  info.metrics = {{"fsc_gain", 0.2}};
  return info;
}

UNetConfig small() {
  UNetConfig c;
  c.levels = 2;
  c.width = 8;
  return c;
}

std::vector<std::byte> small_file() {
  WeightsInfo info = metadata();
  info.architecture = small();
  return encode_weights(info, {{"a", {2, 3}, {1, 2, 3, 4, 5, 6}}, {"b", {}, {-0.5f}}});
}

/// Makes the digest right again.
void sign(std::vector<std::byte>& file) {
  const std::string digest = sha256_bytes(file.data(), file.size() - 32);
  for (std::size_t i = 0; i < 32; ++i)
    file[file.size() - 32 + i] = static_cast<std::byte>(std::stoi(digest.substr(2 * i, 2), nullptr, 16));
}

/// The same file with its JSON text changed and lengths and digest made right again.
std::vector<std::byte> with_json(const std::vector<std::byte>& file, const std::string& from, const std::string& to) {
  std::uint64_t json = 0, data = 0;
  std::memcpy(&json, file.data() + 16, 8);
  std::memcpy(&data, file.data() + 24, 8);
  std::string text(reinterpret_cast<const char*>(file.data()) + 32, json);
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  text.replace(at, from.size(), to);
  text.resize((text.size() + 32 + 63) / 64 * 64 - 32, ' ');
  const std::uint64_t length = text.size();
  std::vector<std::byte> out(32 + length + data + 32);
  std::memcpy(out.data(), file.data(), 32);
  std::memcpy(out.data() + 16, &length, 8);
  std::memcpy(out.data() + 32, text.data(), length);
  std::memcpy(out.data() + 32 + length, file.data() + 32 + json, data + 32);
  return out;
}

TEST(WeightsFile, RoundTripIsBitExactInFloat32) {
  TemporaryFolder folder;
  UNet3d network = random_network(small(), 1);
  const auto written = save_weights(folder.file("a.crw"), network, metadata());
  auto [loaded, info] = load_weights(folder.file("a.crw"));
  for (const auto& p : network->named_parameters())
    EXPECT_TRUE(torch::equal(p.value(), *loaded->named_parameters().find(p.key()))) << p.key();
  EXPECT_EQ(info.architecture, small());
  EXPECT_EQ(info.sha256, written.sha256);
  EXPECT_EQ(info.sha256.size(), 64u);
  EXPECT_EQ(info.voxel_size, 2.5);
  EXPECT_EQ(info.block, 48);
  EXPECT_EQ(info.normalisation, Normalisation::contrast);
  EXPECT_EQ(info.training["structures"], 355);
  EXPECT_EQ(info.licence, "CC0-1.0");
  EXPECT_EQ(info.date, "2026-01-31");
  EXPECT_EQ(info.parameters(), unet_parameters(small()));
  EXPECT_FALSE(loaded->is_training());
}

TEST(WeightsFile, DeviationIsKeptAndOlderFilesHaveNone) {
  TemporaryFolder folder;
  UNetConfig config = small();
  config.deviation = true;
  UNet3d network = random_network(config, 3);
  save_weights(folder.file("a.crw"), network, metadata());
  auto [loaded, info] = load_weights(folder.file("a.crw"));
  EXPECT_EQ(info.architecture, config);
  EXPECT_NE(info.architecture.name().find("-dev"), std::string::npos);
  torch::NoGradGuard no_grad;
  const auto x = torch::randn({1, 1, 8, 8, 8});
  EXPECT_TRUE(torch::equal(loaded->forward(x), network->forward(x)));
  const auto older = with_json(small_file(), "\"deviation\": false,", "");
  EXPECT_EQ(parse_weights_structure(older, "older.crw").architecture, small());
  const auto odd = with_json(small_file(), "\"deviation\": false", "\"deviation\": 3");
  expect_error<InputError>([&] { parse_weights_structure(odd, "odd.crw"); }, "odd.crw", "deviation", "true or false");
}

TEST(WeightsFile, Float16KeepsHalfPrecision) {
  TemporaryFolder folder;
  UNet3d network = random_network(small(), 2);
  save_weights(folder.file("a.crw"), network, metadata(), StoredType::float16);
  save_weights(folder.file("b.crw"), network, metadata());
  auto [loaded, info] = load_weights(folder.file("a.crw"));
  for (const auto& p : network->named_parameters()) {
    const auto half = *loaded->named_parameters().find(p.key());
    EXPECT_TRUE(torch::equal(half, p.value().to(torch::kHalf).to(torch::kFloat))) << p.key();
    EXPECT_TRUE(torch::allclose(half, p.value(), 0x1p-11, 0x1p-25)) << p.key();
  }
  EXPECT_LT(std::filesystem::file_size(folder.file("a.crw")), std::filesystem::file_size(folder.file("b.crw")) * 0.6);
}

TEST(WeightsFile, ListingReadsTheSameWithoutTheTensors) {
  TemporaryFolder folder;
  save_weights(folder.file("a.crw"), random_network(small(), 1), metadata());
  const auto info = read_weights_info(folder.file("a.crw")), verified = verify_weights(folder.file("a.crw"));
  EXPECT_EQ(info.sha256, verified.sha256);
  EXPECT_EQ(info.tensors.size(), verified.tensors.size());
  EXPECT_EQ(info.file_bytes, std::filesystem::file_size(folder.file("a.crw")));
}

TEST(WeightsFile, AnyFlippedBitIsRejected) {
  auto file = small_file();
  ASSERT_NO_THROW(parse_weights(file, "x.crw"));
  for (std::size_t i = 0; i < file.size(); ++i)
    for (const unsigned bit : {0u, 3u, 7u}) {
      const auto saved = file[i];
      file[i] ^= static_cast<std::byte>(1u << bit);
      EXPECT_THROW(parse_weights(file, "x.crw"), InputError) << "byte " << i;
      file[i] = saved;
    }
}

TEST(WeightsFile, AnyTruncationAndAnyAdditionIsRejected) {
  auto file = small_file();
  for (std::size_t n = 0; n < file.size(); ++n)
    EXPECT_THROW(parse_weights(std::span(file).first(n), "x.crw"), InputError) << n;
  file.push_back(std::byte{0});
  expect_error<InputError>([&] { parse_weights(file, "x.crw"); }, "x.crw", "size");
}

TEST(WeightsFile, MessagesNameFileFieldValueAndRemedy) {
  auto file = small_file();
  const auto changed = [&](std::size_t at, unsigned char value) {
    auto copy = file;
    copy[at] = std::byte{value};
    return copy;
  };
  expect_error<InputError>([&] { parse_weights(changed(0, 'X'), "x.crw"); }, "x.crw", "first 8 bytes", "CRWEIGHT");
  expect_error<InputError>([&] { parse_weights(changed(8, 2), "x.crw"); }, "version", "found 2", "allowed: 1");
  expect_error<InputError>([&] { parse_weights(changed(22, 1), "x.crw"); }, "length of the metadata");
  expect_error<InputError>([&] { parse_weights(changed(30, 1), "x.crw"); }, "length of the tensor data");
  expect_error<InputError>([&] { parse_weights(changed(file.size() - 40, 9), "x.crw"); }, "SHA-256", "copy it again");
  expect_error<InputError>([&] { parse_weights(std::span(file).first(file.size() - 1), "x.crw"); }, "truncated");
  expect_error<InputError>([&] { load_weights("/nonexistent/x.crw"); }, "/nonexistent/x.crw", "no such file");
  expect_error<InputError>([&] { load_weights("/tmp"); }, "/tmp", "no regular file");
}

TEST(WeightsFile, MetadataOutOfRangeIsNamed) {
  const auto file = small_file();
  const std::vector<std::array<std::string, 3>> changes{
      {"\"voxel_size_A\": 2.5", "\"voxel_size_A\": -1", "voxel_size_A"},
      {"\"voxel_size_A\": 2.5", "\"voxel_size_A\": \"2.5\"", "voxel_size_A"},
      {"\"voxel_size_A\"", "\"voxel\"", "voxel_size_A"},
      {"\"block\": 48", "\"block\": 47", "block"},
      {"\"block\": 48", "\"block\": 1e99", "block"},
      {"\"levels\": 2", "\"levels\": 99", "levels"},
      {"\"levels\": 2", "\"levels\": 18446744073709551615", "levels"},
      {"\"norm\": \"instance\"", "\"norm\": \"batch\"", "norm"},
      {"\"normalisation\": \"contrast\"", "\"normalisation\": \"minmax\"", "normalisation"},
      {"\"offset\": 0", "\"offset\": 4", "offset"},
      {"\"offset\": 64", "\"offset\": 0", "offset"},
      {"\"dtype\": \"float32\"", "\"dtype\": \"float64\"", "dtype"},
      {"\"name\": \"b\"", "\"name\": \"a\"", "the name a twice"},
      {"\"shape\": []", "\"shape\": [2]", "shape"},
      {"\"shape\": []", "\"shape\": [16777216, 16777216, 16777216]", "shape"},
      {"\"shape\": []", "\"shape\": [0]", "shape"},
      {"{", "[", "JSON"},
  };
  for (const auto& [from, to, field] : changes)
    expect_error<InputError>([&, from = from, to = to] { parse_weights_structure(with_json(file, from, to), "x.crw"); },
                             "x.crw", field, "Remedy");
  EXPECT_NO_THROW(parse_weights_structure(with_json(file, "CC0-1.0", "CC-BY-4.0"), "x.crw"));
}

TEST(WeightsFile, TableMustBeThatOfTheArchitecture) {
  WeightsInfo info = metadata();
  info.architecture = small();
  const auto file = encode_weights(info, {{"a", {2, 3}, {1, 2, 3, 4, 5, 6}}});
  expect_error<InputError>([&] { load_weights(file, "x.crw"); }, "x.crw", "6 values");

  std::vector<TensorSource> tensors;
  for (const auto& p : random_network(small(), 1)->named_parameters()) {
    const auto t = p.value().detach().contiguous();
    tensors.push_back({p.key(), t.sizes().vec(), {t.data_ptr<float>(), t.data_ptr<float>() + t.numel()}});
  }
  auto renamed = tensors;
  renamed[0].name = "strange";
  expect_error<InputError>([&] { load_weights(encode_weights(info, renamed), "x.crw"); }, "strange", "unknown name");
  auto reshaped = tensors;
  for (auto& t : reshaped)
    if (t.shape.size() == 5) t.shape = {static_cast<std::int64_t>(t.values.size())};
  expect_error<InputError>([&] { load_weights(encode_weights(info, reshaped), "x.crw"); }, "shape of");
}

TEST(WeightsFile, ValuesThatAreNotFiniteAreRefusedBothWays) {
  WeightsInfo info = metadata();
  info.architecture = small();
  expect_error<UsageError>([&] { encode_weights(info, {{"a", {1}, {NAN}}}); }, "a", "finite");
  expect_error<UsageError>([&] { encode_weights(info, {{"a", {1}, {1e6f}}}, StoredType::float16); }, "a", "1000000");
  EXPECT_NO_THROW(encode_weights(info, {{"a", {1}, {1e6f}}}));
  auto file = encode_weights(info, {{"a", {1}, {1.0f}}});
  const auto parsed = parse_weights(file, "x.crw");
  const float bad = INFINITY;
  std::memcpy(file.data() + parsed.data_start, &bad, 4);
  expect_error<InputError>([&] { tensor_values(file, parsed, parsed.tensors[0]); }, "a, element 0", "inf");
  const TemporaryFolder folder;
  sign(file);
  std::ofstream(folder.file("x.crw"), std::ios::binary)
      .write(reinterpret_cast<const char*>(file.data()), static_cast<std::streamsize>(file.size()));
  expect_error<InputError>([&] { verify_weights(folder.file("x.crw")); }, "a, element 0", "inf");
}

TEST(WeightsFile, DeepMetadataIsRefused) {
  for (const int levels : {65, 100000}) {
    const std::string deep =
        std::string(static_cast<std::size_t>(levels), '[') + std::string(static_cast<std::size_t>(levels), ']');
    const auto file = with_json(small_file(), "355", deep);
    expect_error<InputError>([&] { parse_weights_structure(file, "x.crw"); }, "x.crw", "nesting", "64");
  }
}

TEST(WeightsFile, NothingIsLeftWhenSavingFails) {
  TemporaryFolder folder;
  EXPECT_THROW(save_weights(folder.file("no/such/a.crw"), random_network(small(), 1), metadata()), SystemError);
  WeightsInfo incomplete = metadata();
  incomplete.licence.clear();
  expect_error<UsageError>([&] { save_weights(folder.file("a.crw"), random_network(small(), 1), incomplete); },
                           "licence");
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

ConfidenceTable table() { return {{0, 0.1, 0.2}, {0.05, 0.1}, {0}, {1, 1, 0.123456789, 0.7, 0, 0.25}}; }

TEST(WeightsConfidence, RoundTripsAndLeavesTheRestAlone) {
  TemporaryFolder folder;
  for (const auto type : {StoredType::float32, StoredType::float16}) {
    UNet3d network = random_network(small(), 1);
    save_weights(folder.file("a.crw"), network, metadata(), type);
    EXPECT_FALSE(read_weights_info(folder.file("a.crw")).confidence);
    const auto written = save_confidence(folder.file("a.crw"), table(), {{"pairs", 7}}, folder.file("b.crw"));
    const auto info = verify_weights(folder.file("b.crw"));
    EXPECT_EQ(info.sha256, written.sha256);
    EXPECT_EQ(confidence_of(info), table());
    EXPECT_EQ(info.confidence_measured["pairs"], 7);
    EXPECT_EQ(info.training, metadata().training);
    EXPECT_EQ(info.tensors.front().type, type);
    const auto before = load_weights(folder.file("a.crw")), after = load_weights(folder.file("b.crw"));
    for (const auto& p : before.network->named_parameters())
      EXPECT_TRUE(torch::equal(p.value(), *after.network->named_parameters().find(p.key()))) << p.key();
    // Onto itself, replacing the table.
    const ConfidenceTable half{{0}, {0}, {0}, {0.5}};
    save_confidence(folder.file("b.crw"), half, nullptr, folder.file("b.crw"));
    EXPECT_EQ(confidence_of(verify_weights(folder.file("b.crw"))), half);
  }
}

TEST(WeightsConfidence, TheNetworksDigestIsThatOfTheNetworkAlone) {
  TemporaryFolder folder;
  save_weights(folder.file("a.crw"), random_network(small(), 1), metadata());
  WeightsInfo renamed = metadata();
  renamed.name = "another";
  renamed.metrics = {{"fsc_out", 0.9}};
  save_weights(folder.file("renamed.crw"), random_network(small(), 1), renamed);
  save_confidence(folder.file("a.crw"), table(), {{"pairs", 7}}, folder.file("table.crw"));
  const std::string digest = network_digest(folder.file("a.crw"));
  EXPECT_EQ(digest.size(), 64u);
  EXPECT_EQ(network_digest(folder.file("renamed.crw")), digest);
  EXPECT_EQ(network_digest(folder.file("table.crw")), digest);

  save_weights(folder.file("b.crw"), random_network(small(), 2), metadata());
  EXPECT_NE(network_digest(folder.file("b.crw")), digest) << "other tensors";
  WeightsInfo coarser = metadata();
  coarser.voxel_size *= 2;
  save_weights(folder.file("c.crw"), random_network(small(), 1), coarser);
  EXPECT_NE(network_digest(folder.file("c.crw")), digest) << "another voxel size";
  EXPECT_THROW(network_digest(folder.file("missing.crw")), InputError);
}

TEST(WeightsConfidence, AbsenceIsNamedWithItsRemedy) {
  const auto info = parse_weights(small_file(), "x.crw");
  expect_error<InputError>([&] { confidence_of(info); }, "x.crw", "confidence", "cryored-calibrate", "--prior cw-red");
}

TEST(WeightsConfidence, ACorruptTableIsRefused) {
  WeightsInfo info = metadata();
  info.architecture = small();
  info.confidence = ConfidenceTable{{0, 0.125}, {0.0625, 0.25}, {0}, {1, 0.75, 0.5, 0.375}};
  const auto file = encode_weights(info, {{"a", {2}, {1, 2}}});
  const std::vector<std::array<std::string, 3>> changes{
      {"0.375", "1.375", "lambda"},
      {"0.375", "-0.1", "lambda"},
      {"0.375", "\"much\"", "lambda"},
      {"0.75,\n", "", "3 values"},
      {"0.25", "0.05", "nominal_per_A"},  // no longer ascending
      {"\"half_map_fsc\"", "\"fsc\"", "half_map_fsc"},
      {"\"frequency_per_A\": [", "\"frequency_per_A\": 3, \"old\": [", "frequency_per_A"},
  };
  for (const auto& [from, to, field] : changes)
    expect_error<InputError>([&, from = from, to = to] { parse_weights_structure(with_json(file, from, to), "x.crw"); },
                             "x.crw", field, "cryored-calibrate");
  EXPECT_EQ(parse_weights_structure(file, "x.crw").confidence->prior_weight, 1) << "absent: as before";
  info.confidence->prior_weight = 16;
  const auto weighed = encode_weights(info, {{"a", {2}, {1, 2}}});
  EXPECT_EQ(parse_weights_structure(weighed, "x.crw").confidence, info.confidence);
  for (const std::string bad : {"0.5", "-16", "1e7", "\"16\"", "null"})
    expect_error<InputError>(
        [&] {
          parse_weights_structure(with_json(weighed, "\"prior_weight\": 16.0", "\"prior_weight\": " + bad), "x.crw");
        },
        "x.crw", "prior_weight", "from 1 to 1e6");
  info.confidence->lambda.pop_back();
  EXPECT_THROW(encode_weights(info, {{"a", {2}, {1, 2}}}), InputError);
}

class WeightsSearch : public ::testing::Test {
 protected:
  ~WeightsSearch() override { unsetenv("CRYORED_WEIGHTS"); }
  TemporaryFolder folder_;
};

TEST_F(WeightsSearch, VariableNamesAFolderOrAFile) {
  const std::string wanted = folder_.file("mine.crw");
  save_weights(wanted, random_network(small(), 1), metadata());
  setenv("CRYORED_WEIGHTS", folder_.path().c_str(), 1);
  EXPECT_EQ(find_weights("mine"), wanted);
  EXPECT_EQ(find_weights("mine.crw"), wanted);
  EXPECT_EQ(find_weights(wanted), wanted);
  EXPECT_EQ(list_weights(folder_.path()).front(), wanted);
  EXPECT_EQ(list_weights(wanted).front(), wanted);
  EXPECT_THROW(list_weights(folder_.file("none")), InputError);
  setenv("CRYORED_WEIGHTS", wanted.c_str(), 1);
  EXPECT_EQ(find_weights(), wanted);
  EXPECT_EQ(find_weights("mine"), wanted);
}

TEST_F(WeightsSearch, WhatIsNotFoundSaysWhereItLooked) {
  setenv("CRYORED_WEIGHTS", folder_.path().c_str(), 1);
  expect_error<InputError>([&] { find_weights("other"); }, "other", folder_.path(), "share/cryored/weights");
  expect_error<InputError>([&] { find_weights(folder_.file("x.crw")); }, folder_.file("x.crw"), "no such file");
  setenv("CRYORED_WEIGHTS", "/nonexistent/w", 1);
  expect_error<InputError>([&] { find_weights(); }, "CRYORED_WEIGHTS", "/nonexistent/w");
}

}  // namespace
}  // namespace cryored
