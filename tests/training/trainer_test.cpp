#include "training/trainer.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "core/base/error.hpp"
#include "models/weights_file.hpp"
#include "small_structure.hpp"
#include "training/structures.hpp"

namespace cryored {
namespace {
namespace fs = std::filesystem;

TEST(Dataset, TwentyFourRotationsAreDistinctAndKeepTheCentre) {
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

class Training : public ::testing::Test {
 protected:
  void SetUp() override {
    // ctest runs the tests at the same time: a folder for each.
    folder_ = fs::temp_directory_path() / ("cryored_trainer_test_" + std::to_string(getpid()));
    fs::remove_all(folder_);
    fs::create_directories(folder_ / "pairs");
    PairOptions o;
    o.box = 32;
    o.least_particles = 40;
    o.most_particles = 60;
    o.rounds = 1;
    o.first_views = 200;
    // Names on either side of the split between training and validation.
    int training = 0, validation = 0;
    for (int i = 0; training < 3 || validation < 1; ++i) {
      const std::string id = "T" + std::to_string(i);
      int& count = is_validation(id) ? validation : training;
      if (count >= (is_validation(id) ? 1 : 3)) continue;
      ++count;
      write_pairs(
          (folder_ / "pairs" / (id + ".pairs")).string(),
          make_pairs(test::small_structure(200 + 30 * (training + validation), 10), o, static_cast<std::uint64_t>(i)),
          id);
    }
  }
  void TearDown() override { fs::remove_all(folder_); }

  TrainOptions options(const std::string& run, std::int64_t steps) const {
    TrainOptions o;
    o.pairs = (folder_ / "pairs").string();
    o.run = (folder_ / run).string();
    o.network.levels = 3;
    o.network.width = 8;
    o.steps = steps;
    o.batch = 1;
    o.validate_every = 4;
    o.validation_pairs = 2;
    o.bf16 = false;
    return o;
  }

  fs::path folder_;
};

TEST_F(Training, StoppedRunResumesBitForBit) {
  TrainOptions whole = options("whole", 8);
  train(whole, [](const std::string&) {});
  TrainOptions cut = options("cut", 8);
  struct Killed {};
  EXPECT_THROW(train(cut, [](const std::string&) { throw Killed{}; }), Killed);  // before the first checkpoint
  int lines = 0;
  try {
    train(cut, [&](const std::string&) {
      if (++lines == 2) throw Killed{};
    });
  } catch (const Killed&) {
  }
  train(cut, [](const std::string&) {});
  const auto a = read_weights_bytes(whole.run + "/denoiser.crw"), b = read_weights_bytes(cut.run + "/denoiser.crw");
  EXPECT_EQ(a, b);
}

TEST_F(Training, LossFalls) {
  TrainOptions o = options("falls", 120);
  o.validate_every = 30;
  o.learning_rate = 5e-3;
  o.average = 0.9;
  std::vector<double> loss;  // on structures that are never trained on
  train(o, [&](const std::string& line) { loss.push_back(nlohmann::json::parse(line)["validation_loss"]); });
  ASSERT_EQ(loss.size(), 4u);
  EXPECT_LT(loss.back(), 0.96 * loss.front());
  EXPECT_NO_THROW(verify_weights(o.run + "/denoiser.crw"));
}

TEST_F(Training, NoShardsIsAnError) {
  TrainOptions o = options("none", 4);
  o.pairs = (folder_ / "empty").string();
  EXPECT_THROW(train(o, [](const std::string&) {}), InputError);
}

}  // namespace
}  // namespace cryored
