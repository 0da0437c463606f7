// The task "pinn" in the trainer: its losses; it learns, resumes, keeps its weights, and says what is wrong with its
// structures.

#include <gtest/gtest.h>
#include <torch/autograd.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iomanip>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/base/error.hpp"
#include "core/base/temporary_folder.hpp"
#include "core/fourier/shells.hpp"
#include "models/imaging/pinn_weights.hpp"
#include "simulation/structures.hpp"
#include "tests/simulation/small_structure.hpp"
#include "training/phase_loss.hpp"
#include "training/task.hpp"
#include "training/trainer.hpp"

namespace cryored {
namespace {

std::string write_pdb(const std::filesystem::path& path, int atoms) {
  std::ofstream out(path);
  int number = 0;
  for (const auto& a : test::small_structure(atoms, 9).atoms) {
    ++number;
    out << "ATOM  " << std::setw(5) << number << "  CA  GLY A" << std::setw(4) << number << "    " << std::fixed
        << std::setprecision(3) << std::setw(8) << a.x << std::setw(8) << a.y << std::setw(8) << a.z
        << "  1.00 20.00           C\n";
  }
  out << "END\n";
  return path.string();
}

TrainOptions small_run(const TemporaryFolder& folder) {
  TrainOptions o;
  o.task = "pinn";
  o.run = (folder.path() / "run").string();
  o.pinn.structures = write_pdb(folder.path() / "one.pdb", 200);
  o.pinn.held_out = write_pdb(folder.path() / "other.pdb", 260);
  o.pinn.box = 32;
  o.pinn.pairs = 4;
  o.pinn.network.stages = 2;
  o.pinn.network.levels = 2;
  o.pinn.network.width = 4;
  o.steps = 24;
  o.warm_up = 2;
  o.learning_rate = 5e-3;
  o.average = 0.8;
  o.validate_every = 12;
  o.validation_examples = 3;
  o.bf16 = false;
  o.threads = 1;
  o.device = "cpu";
  return o;
}

TEST(PinnTask, LearnsAndLeavesWeights) {
  const TemporaryFolder folder;
  const TrainOptions o = small_run(folder);
  std::vector<nlohmann::json> lines;
  EXPECT_EQ(train(o,
                  [&](const TrainProgress& p) {
                    if (!p.validation.empty()) lines.push_back(nlohmann::json::parse(p.validation));
                  }),
            TrainEnd::finished);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_LT(lines[1]["loss"].get<double>(), lines[0]["loss"].get<double>());
  for (const char* key : {"frc_out", "frc_wiener", "frc_physics"}) {
    EXPECT_GT(lines[1][key].get<double>(), 0.02) << key;
    EXPECT_LT(lines[1][key].get<double>(), 1) << key;
  }
  const LoadedPinn loaded = load_pinn(o.run + "/pinn.crw");
  EXPECT_EQ(loaded.network->config(), o.pinn.network);
  EXPECT_EQ(loaded.info.name, "phase-paper");
  EXPECT_EQ(loaded.info.block, 32);
}

std::vector<float> values(const std::string& path) {
  std::vector<float> all;
  for (const auto& p : load_pinn(path).network->parameters()) {
    const auto t = p.contiguous().flatten();
    all.insert(all.end(), t.const_data_ptr<float>(), t.const_data_ptr<float>() + t.numel());
  }
  return all;
}

TEST(PinnTask, StoppedRunResumesBitForBit) {
  const TemporaryFolder folder;
  TrainOptions whole = small_run(folder);
  whole.pinn.pairs = 0;
  whole.pinn.loss = PhaseLoss::frc;
  whole.pinn.repeat = 2;
  whole.batch = 4;
  whole.steps = 8;
  whole.validate_every = 4;
  TrainOptions cut = whole;
  cut.run = (folder.path() / "cut").string();
  train(whole, [](const TrainProgress&) {});
  int asked = 0;
  cut.stop = [&] { return ++asked == 3; };
  EXPECT_EQ(train(cut, [](const TrainProgress&) {}), TrainEnd::stopped);
  EXPECT_EQ(train(cut, [](const TrainProgress&) {}), TrainEnd::finished);
  EXPECT_EQ(values(whole.run + "/pinn.crw"), values(cut.run + "/pinn.crw"));
  const std::string third = write_pdb(folder.path() / "third.pdb", 150);
  const auto refused = [&](const std::string& option, const std::function<void(TrainOptions::Pinn&)>& change) {
    TrainOptions other = cut;
    change(other.pinn);
    try {
      train(other, [](const TrainProgress&) {});
      ADD_FAILURE() << "another " << option << " was taken";
    } catch (const InputError& e) {
      EXPECT_NE(std::string(e.what()).find(option), std::string::npos) << e.what();
    }
  };
  refused("--loss", [](TrainOptions::Pinn& o) { o.loss = PhaseLoss::mse; });
  refused("--repeat", [](TrainOptions::Pinn& o) { o.repeat = 1; });
  refused("--exposures", [](TrainOptions::Pinn& o) { o.pairs = 5; });
  refused("--every-stage", [](TrainOptions::Pinn& o) { o.every_stage = true; });
  refused("--structures", [&](TrainOptions::Pinn& o) { o.structures = third; });
  refused("--held-out", [&](TrainOptions::Pinn& o) { o.held_out = third; });
  cut.pinn.repeat = 3;
  cut.run = (folder.path() / "uneven").string();
  EXPECT_THROW(train(cut, [](const TrainProgress&) {}), UsageError);
}

/// A blob with noise, [1, n, n].
torch::Tensor picture(std::int64_t n, double noise, unsigned seed) {
  torch::manual_seed(seed);
  const auto at = torch::arange(n, torch::kFloat) - static_cast<double>(n / 2);
  const auto r2 = at.square().unsqueeze(1) + 1.5 * (at - 2).square().unsqueeze(0);
  return (torch::exp(-r2 / 18) + noise * torch::randn({n, n})).unsqueeze(0);
}

TEST(PhaseLosses, CurveIsTheCorrelationOfTheMaskedImages) {
  const std::int64_t n = 48;
  const RingCorrelation rings(n, torch::kCPU);
  const auto a = picture(n, 0.2, 1), b = picture(n, 0.2, 2);
  const auto curve = rings.curve(a, b);
  ASSERT_EQ(curve.sizes(), (c10::IntArrayRef{1, n / 2}));
  const auto masked = [&](const torch::Tensor& t) {
    Map map(n, n, 1), mask(n, n, 1);
    double sum = 0, weight = 0;
    for (std::size_t y = 0; y < n; ++y)
      for (std::size_t x = 0; x < n; ++x) {
        const double r = std::hypot(double(x) - n / 2., double(y) - n / 2.) / n;
        const double w = 0.5 + 0.5 * std::cos(M_PI * std::clamp((r - 0.4) / 0.05, 0.0, 1.0));
        mask(x, y, 0) = static_cast<float>(w);
        sum += w * t[0][y][x].item<double>();
        weight += w;
      }
    for (std::size_t y = 0; y < n; ++y)
      for (std::size_t x = 0; x < n; ++x)
        map(x, y, 0) = static_cast<float>(t[0][y][x].item<double>() - sum / weight) * mask(x, y, 0);
    return map;
  };
  const auto expected = fsc(masked(a), masked(b));
  for (std::int64_t s = 1; s <= n / 2; ++s)
    EXPECT_NEAR(curve[0][s - 1].item<double>(), expected[static_cast<std::size_t>(s)], 1e-4) << s;
  // The scale of an image does not count, and an image is its own.
  EXPECT_NEAR(rings.area(3 * a, a).item<double>(), 1, 1e-5);
}

TEST(PhaseLosses, AreFiniteWithFiniteGradientsAlsoForNothing) {
  const std::int64_t n = 32;
  const RingCorrelation rings(n, torch::kCPU);
  const auto truth = picture(n, 0.05, 3).expand({4, n, n}).contiguous();
  for (const auto kind : {PhaseLoss::mse, PhaseLoss::whitened, PhaseLoss::frc}) {
    auto phase = torch::zeros_like(truth).requires_grad_(true);
    const auto loss = phase_loss(kind, rings, phase, truth, 2);
    loss.backward();
    EXPECT_TRUE(std::isfinite(loss.item<double>()));
    EXPECT_TRUE(phase.grad().isfinite().all().item<bool>()) << static_cast<int>(kind);
    EXPECT_GT(phase.grad().abs().max().item<double>(), 0) << static_cast<int>(kind);
    EXPECT_LT(phase_loss(kind, rings, truth, truth, 2).item<double>(), 1e-4);
  }
  EXPECT_NEAR(rings.whitened_error(torch::zeros_like(truth), truth).mean().item<double>(), 1, 1e-3);
}

// Two exposures whose errors cancel: only the FRC of their mean is 1.
TEST(PhaseLosses, MeanOfExposuresCounts) {
  const std::int64_t n = 32;
  const RingCorrelation rings(n, torch::kCPU);
  const auto truth = picture(n, 0.05, 3), error = picture(n, 0.5, 4);
  const auto pair = torch::cat({truth + error, truth - error}), truths = torch::cat({truth, truth});
  EXPECT_LT(phase_loss(PhaseLoss::frc, rings, pair, truths, 2).item<double>() + 0.1,
            phase_loss(PhaseLoss::frc, rings, pair, truths, 1).item<double>());
}

TEST(PinnTask, ExposuresOfAViewStayOnOneRankAndInOnePart) {
  const TemporaryFolder folder;
  TrainOptions o = small_run(folder);
  o.batch = 4;
  o.pinn.repeat = 2;
  EXPECT_NO_THROW(make_task(o, torch::kCPU, 2));
  const auto refused = [&](int ranks) {
    try {
      make_task(o, torch::kCPU, ranks);
      FAIL() << "one of two exposures for each part";
    } catch (const UsageError& e) {
      EXPECT_NE(std::string(e.what()).find("--repeat"), std::string::npos) << e.what();
      EXPECT_NE(std::string(e.what()).find("a divisor of 1"), std::string::npos) << e.what();
    }
  };
  refused(4);
  o.accumulate = 2;
  refused(2);
}

TEST(PinnTask, WhatIsHeldOutIsNotTrainedOn) {
  const TemporaryFolder folder;
  TrainOptions o = small_run(folder);
  o.steps = o.validate_every = 2;
  const auto structures = folder.path() / "structures", other = folder.path() / "elsewhere";
  std::filesystem::create_directories(structures);
  std::filesystem::create_directories(other);
  // Two names of the training part and one that is held out by its name.
  std::vector<std::string> training;
  std::string validation;
  for (int i = 0; training.size() < 2 || validation.empty(); ++i) {
    const std::string id = "T" + std::to_string(i);
    if (is_validation(id))
      validation = id;
    else if (training.size() < 2)
      training.push_back(id);
  }
  for (const std::string& id : {training[1], validation}) write_pdb(structures / (id + ".pdb"), 200);
  write_pdb(structures / (training[0] + ".pdb"), 150);  // the only one of other content
  write_pdb(other / (training[1] + ".pdb"), 200);
  o.pinn.structures = structures.string();
  o.pinn.held_out = other.string();
  train(o, [](const TrainProgress&) {});
  const WeightsInfo info = load_pinn(o.run + "/pinn.crw").info;
  EXPECT_EQ(info.training["structure_names"], nlohmann::json({training[0]}));
  EXPECT_EQ(info.training["validation_structures"], nlohmann::json({training[1]}));

  // Spelt otherwise, or the same file under another name.
  std::filesystem::rename(other / (training[1] + ".pdb"), other / ("t" + training[1].substr(1) + ".pdb"));
  std::string copy = "C0";
  for (int i = 1; is_validation(copy); ++i) copy = "C" + std::to_string(i);
  std::filesystem::copy(other / ("t" + training[1].substr(1) + ".pdb"), structures / (copy + ".pdb"));
  o.run = (folder.path() / "otherwise").string();
  train(o, [](const TrainProgress&) {});
  EXPECT_EQ(load_pinn(o.run + "/pinn.crw").info.training["structure_names"], nlohmann::json({training[0]}));

  // All of it held out.
  o.pinn.structures = write_pdb(structures / (training[1] + ".pdb"), 200);
  o.run = (folder.path() / "none").string();
  try {
    train(o, [](const TrainProgress&) {});
    FAIL() << "trained on what is held out";
  } catch (const InputError& e) {
    EXPECT_NE(std::string(e.what()).find("--held-out"), std::string::npos) << e.what();
  }
}

TEST(PinnTask, StructuresThatAreNotThereAreNamed) {
  const TemporaryFolder folder;
  TrainOptions o = small_run(folder);
  o.pinn.held_out.clear();
  EXPECT_THROW(train(o, [](const TrainProgress&) {}), UsageError);
  o.pinn.structures = (folder.path() / "nowhere").string();
  EXPECT_THROW(train(o, [](const TrainProgress&) {}), InputError);
}

}  // namespace
}  // namespace cryored
