#include "training/trainer.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>
#include <set>

#include "core/base/error.hpp"
#include "core/fourier/shells.hpp"
#include "models/weights_file.hpp"
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

/// Blobs and white noise, both cut at shell 8 of box 24: enough to learn from, made in no time.
std::vector<TrainingPair> blobs(unsigned seed) {
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal;
  std::vector<TrainingPair> pairs(4);
  for (auto& pair : pairs) {
    Map truth(16, 16, 16), noisy;
    truth.fill(0);
    for (int blob = 0; blob < 12; ++blob) {
      const float cx = 8 + 2 * normal(rng), cy = 8 + 2 * normal(rng), cz = 8 + 2 * normal(rng);
      for (int z = 0; z < 16; ++z)
        for (int y = 0; y < 16; ++y)
          for (int x = 0; x < 16; ++x) {
            const float dx = static_cast<float>(x) - cx, dy = static_cast<float>(y) - cy,
                        dz = static_cast<float>(z) - cz;
            truth(static_cast<std::size_t>(x), static_cast<std::size_t>(y), static_cast<std::size_t>(z)) +=
                std::exp(-(dx * dx + dy * dy + dz * dz) / 2);
          }
    }
    noisy = truth;
    for (auto& v : noisy.data) v += 0.2f * normal(rng);
    pair.input = fourier_resize(noisy, 24);
    pair.target = fourier_resize(truth, 24);
    pair.cut = 8;
    pair.nominal_resolution = 8;
    pair.half_fsc.assign(13, 0.5f);
  }
  return pairs;
}

class Training : public ::testing::Test {
 protected:
  void SetUp() override {
    // ctest runs the tests at the same time: a folder for each.
    folder_ = fs::temp_directory_path() / ("cryored_trainer_test_" + std::to_string(getpid()));
    fs::remove_all(folder_);
    fs::create_directories(folder_ / "pairs");
    // Names on either side of the split between training and validation.
    int training = 0, validation = 0;
    for (int i = 0; training < 3 || validation < 1; ++i) {
      const std::string id = "T" + std::to_string(i);
      int& count = is_validation(id) ? validation : training;
      if (count >= (is_validation(id) ? 1 : 3)) continue;
      ++count;
      write_pairs((folder_ / "pairs" / (id + ".pairs")).string(), blobs(static_cast<unsigned>(i)), id);
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
  TrainOptions o = options("falls", 60);
  o.validate_every = 15;
  o.learning_rate = 5e-3;
  o.average = 0.9;
  std::vector<double> loss;  // on structures that are never trained on
  train(o, [&](const std::string& line) { loss.push_back(nlohmann::json::parse(line)["validation_loss"]); });
  ASSERT_EQ(loss.size(), 4u);
  EXPECT_LT(loss.back(), 0.96 * loss.front());
  EXPECT_NO_THROW(verify_weights(o.run + "/denoiser.crw"));
}

TEST_F(Training, StartsFromAWeightsFileOfTheSameArchitecture) {
  TrainOptions first = options("first", 8);
  first.learning_rate = 5e-3;
  train(first, [](const std::string&) {});
  const std::string weights = first.run + "/denoiser.crw";

  TrainOptions second = options("second", 4);
  second.init = weights;
  std::vector<nlohmann::json> lines;
  train(second, [&](const std::string& line) { lines.push_back(nlohmann::json::parse(line)); });
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0]["step"], 0);
  const WeightsInfo before = read_weights_info(weights), after = read_weights_info(second.run + "/denoiser.crw");
  // Stored as float16, computed in float32: equal up to that.
  EXPECT_NEAR(lines[0]["fsc_out"].get<double>(), before.metrics["fsc_out"].get<double>(), 1e-3);
  EXPECT_EQ(after.training["init_sha256"], before.sha256);

  second.run = options("other", 4).run;
  second.network.width = 16;
  try {
    train(second, [](const std::string&) {});
    FAIL() << "another architecture was taken";
  } catch (const InputError& e) {
    EXPECT_NE(std::string(e.what()).find("unet3-w8"), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find("unet3-w16"), std::string::npos) << e.what();
  }
  TrainOptions resumed = options("first", 12);
  resumed.init = weights;
  EXPECT_THROW(train(resumed, [](const std::string&) {}), InputError) << "that run began at random";
}

TEST_F(Training, KeepsTheBestWeightsAndStopsEarly) {
  TrainOptions good = options("good", 40);
  good.learning_rate = 5e-3;
  good.average = 0.5;
  good.validate_every = 20;
  train(good, [](const std::string&) {});

  // A learning rate that wrecks the network: what it started from stays the best.
  TrainOptions bad = options("bad", 40);
  bad.init = good.run + "/denoiser.crw";
  bad.learning_rate = 1e4;
  bad.average = 0;
  bad.patience = 2;
  std::vector<nlohmann::json> lines;
  train(bad, [&](const std::string& line) { lines.push_back(nlohmann::json::parse(line)); });
  ASSERT_EQ(lines.size(), 3u) << "two validations without a better one end the run";
  EXPECT_LT(lines[1]["objective"], lines[0]["objective"]);
  EXPECT_EQ(lines[2]["best_step"], 0);
  EXPECT_EQ(read_weights_info(bad.run + "/denoiser.crw").training["steps"], 0);
  lines.clear();
  train(bad, [&](const std::string& line) { lines.push_back(nlohmann::json::parse(line)); });
  EXPECT_TRUE(lines.empty()) << "a run that stopped early stays stopped";

  bad.run = options("last", 0).run;
  bad.best = false;
  train(bad, [](const std::string&) {});
  EXPECT_EQ(read_weights_info(bad.run + "/denoiser.crw").training["steps"], 8) << "the last weights, as asked";
}

TEST_F(Training, NoShardsIsAnError) {
  TrainOptions o = options("none", 4);
  o.pairs = (folder_ / "empty").string();
  EXPECT_THROW(train(o, [](const std::string&) {}), InputError);
}

}  // namespace
}  // namespace cryored
