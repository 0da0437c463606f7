#include "training/dataset.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

#include "core/base/error.hpp"
#include "core/base/temporary_folder.hpp"
#include "core/fourier/shells.hpp"
#include "tests/training/blob_pairs.hpp"

namespace cryored {
namespace {
namespace fs = std::filesystem;

TEST(Turned, TwentyFourRotationsAreDistinctAndKeepTheCentre) {
  Map map(6, 6, 6);
  for (std::size_t i = 0; i < map.size(); ++i) map.data[i] = static_cast<float>(i);
  std::set<std::vector<float>> seen;
  for (int r = 0; r < 24; ++r) {
    const Map t = turned(map, r, 0, 0, 0);
    EXPECT_EQ(t(3, 3, 3), map(3, 3, 3));
    seen.insert({t.data.begin(), t.data.end()});
  }
  EXPECT_EQ(seen.size(), 24u);
  const Map moved = turned(map, 0, 0, 0, 0);
  std::set<float> values(moved.data.begin(), moved.data.end());
  EXPECT_EQ(values.size(), map.size()) << "every voxel once";
}

class Dataset : public ::testing::Test {
 protected:
  void SetUp() override { test::write_blob_shards(folder_.string()); }

  static PairDataset training_pairs(const fs::path& folder) {
    return {folder.string(), PairDataset::Part::training, Normalisation::contrast};
  }

  TemporaryFolder temporary_;
  const fs::path folder_ = temporary_.path();
};

TEST_F(Dataset, BatchesAreOfOneBox) {
  test::write_large_shards(folder_.string(), (folder_ / "large").string());
  const PairDataset data = training_pairs(folder_);
  ASSERT_EQ(data.boxes(), (std::vector<std::size_t>{24, 32}));
  std::set<std::size_t> seen;
  for (std::uint64_t step = 0; step < 20; ++step) {
    const std::size_t box = data.augmented(1, step, 2 * step).input.nx;
    EXPECT_EQ(data.augmented(1, step, 2 * step + 1).input.nx, box);
    seen.insert(box);
  }
  EXPECT_EQ(seen.size(), 2u);
}

TEST_F(Dataset, SaysWhichPartIsEmpty) {
  for (const auto part : {PairDataset::Part::training, PairDataset::Part::validation}) {
    const bool training = part == PairDataset::Part::training;
    const fs::path other = folder_ / (training ? "validation only" : "training only");
    fs::create_directories(other);
    for (const auto& entry : fs::directory_iterator(folder_))
      if (entry.path().extension() == ".pairs" && is_validation(structure_id(entry.path().string())) == training)
        fs::copy(entry.path(), other / entry.path().filename());
    try {
      const PairDataset data(other.string(), part, Normalisation::contrast);
      FAIL() << data.pairs() << " pairs";
    } catch (const InputError& e) {
      const std::string text = e.what();
      EXPECT_NE(text.find(training ? "shards to train on: found none, and 1 of"
                                   : "shards to validate on: found none, and 3 of"),
                std::string::npos)
          << text;
      EXPECT_NE(text.find("their names decide"), std::string::npos) << text;
      EXPECT_EQ(text.find("--held-out") != std::string::npos, !training) << text;
    }
  }
}

TEST_F(Dataset, NamesThatDifferInCaseOnlyAreRefused) {
  // t0 and the like name the structures of T0; whichever part each falls into, both are named.
  fs::create_directories(folder_ / "again");
  for (const auto& entry : fs::directory_iterator(folder_)) {
    if (entry.is_directory()) continue;
    const std::string name = entry.path().filename().string();
    const fs::path other = folder_ / "again" / ("t" + name.substr(1));
    fs::copy(entry.path(), other);
    try {
      training_pairs(folder_);
      FAIL() << name;
    } catch (const InputError& e) {
      const std::string text = e.what();
      for (const std::string& file : {entry.path().string(), other.string()})
        EXPECT_NE(text.find(file), std::string::npos) << text;
    }
    fs::remove(other);
  }
}

/// Whether `map` is `other` moved cyclically.
bool is_move_of(const Map& map, const Map& other) {
  const auto peak = [](const Map& m) {
    return static_cast<int>(std::max_element(m.data.begin(), m.data.end()) - m.data.begin());
  };
  const int n = static_cast<int>(map.nx), a = peak(map), b = peak(other);
  return turned(other, 0, b % n - a % n, b / n % n - a / n % n, b / n / n - a / n / n).data == map.data;
}

TEST_F(Dataset, TurnsOnlyWhereAsked) {
  const PairDataset data = training_pairs(folder_);
  int moved = 0, turned_too = 0;
  for (std::uint64_t draw = 0; draw < 6; ++draw)
    for (const bool turn : {false, true}) {
      const Example e = data.augmented(1, draw, draw, {turn});
      for (std::size_t i = 0; i < data.pairs(); ++i)
        if (const Example original = data.example(i);
            is_move_of(e.input, original.input) && is_move_of(e.target, original.target))
          (turn ? turned_too : moved) += 1;
    }
  EXPECT_EQ(moved, 6);
  EXPECT_LT(turned_too, 3);
}

TEST_F(Dataset, AssembliesHoldASecondMolecule) {
  // One pair cut at shell 6, with the lower half-map FSC, and one cut at 8.
  auto pairs = test::blobs(1);
  pairs.resize(2, pairs[0]);
  pairs[0].cut = 6;
  for (auto& pair : pairs)
    for (Map* map : {&pair.input, &pair.target}) *map = low_pass(*map, pair.cut);
  pairs[0].half_fsc.assign(13, 0.3f), pairs[1].half_fsc.assign(13, 0.8f);
  std::string id;
  for (const auto& entry : fs::directory_iterator(folder_))
    if (!is_validation(structure_id(entry.path().string()))) id = structure_id(entry.path().string());
  fs::create_directories(folder_ / "mixed");
  write_pairs((folder_ / "mixed" / (id + ".pairs")).string(), pairs, id);
  const PairDataset data = training_pairs(folder_ / "mixed");

  std::set<std::pair<int, int>> cuts;  // of the first pair, of the sum
  int joined = 0;
  for (std::uint64_t draw = 0; draw < 24; ++draw) {
    const Example alone = data.augmented(1, draw, draw), never = data.augmented(1, draw, draw, {true, 0}),
                  both = data.augmented(1, draw, draw, {true, 1}), half = data.augmented(1, draw, draw, {true, 0.5});
    EXPECT_EQ(alone.input.data, never.input.data);
    EXPECT_TRUE(half.input.data == alone.input.data || half.input.data == both.input.data);
    joined += half.input.data == both.input.data;
    cuts.insert({alone.cut, both.cut});
    EXPECT_EQ(both.half_fsc[3], both.cut == 6 ? 0.3f : 0.8f);
    EXPECT_NEAR(map_scale(both.input, Normalisation::contrast), 1, 1e-3);
    for (const Map* map : {&both.input, &both.target}) {
      const Map again = low_pass(*map, both.cut);
      double beyond = 0, all = 0;
      for (std::size_t i = 0; i < map->size(); ++i)
        beyond += std::pow(map->data[i] - again.data[i], 2), all += std::pow(map->data[i], 2);
      EXPECT_LT(beyond, 1e-5 * all);  // float16
    }
    // The first molecule is found in the sum, and is not all of it.
    for (const auto& [one, sum] : {std::pair(&alone.input, &both.input), std::pair(&alone.target, &both.target)}) {
      const double found = fsc(*one, *sum)[3];
      EXPECT_GT(found, 0.1) << draw;
      EXPECT_LT(found, 0.99) << draw;
    }
  }
  EXPECT_EQ(cuts, (std::set<std::pair<int, int>>{{6, 6}, {8, 6}, {8, 8}}));
  EXPECT_GT(joined, 4);
  EXPECT_LT(joined, 20);
}

}  // namespace
}  // namespace cryored
