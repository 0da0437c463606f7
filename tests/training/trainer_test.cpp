#include "training/trainer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <nlohmann/json.hpp>

#include "core/base/error.hpp"
#include "core/base/temporary_folder.hpp"
#include "models/block_denoiser.hpp"
#include "models/unet_weights.hpp"
#include "models/weights_file.hpp"
#include "simulation/structures.hpp"
#include "tests/training/blob_pairs.hpp"
#include "training/checkpoint.hpp"
#include "training/dataset.hpp"

namespace cryored {
namespace {
namespace fs = std::filesystem;

const auto nothing = [](const TrainProgress&) {};

/// Collects the validations.
auto into(std::vector<nlohmann::json>& lines) {
  return [&lines](const TrainProgress& p) {
    if (!p.validation.empty()) lines.push_back(nlohmann::json::parse(p.validation));
  };
}

/// Weights of a file, without the metadata.
std::vector<float> values(const std::string& path) {
  const auto bytes = read_weights_bytes(path);
  const WeightsInfo info = parse_weights(bytes, path);
  std::vector<float> all;
  for (const auto& tensor : info.tensors) {
    const auto part = tensor_values(bytes, info, tensor);
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

class Training : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(folder_ / "pairs");
    test::write_blob_shards((folder_ / "pairs").string());
  }

  TrainOptions options(const std::string& run, std::int64_t steps) const {
    TrainOptions o;
    o.denoise.pairs = (folder_ / "pairs").string();
    o.run = (folder_ / run).string();
    o.denoise.network.levels = 3;
    o.denoise.network.width = 8;
    o.steps = steps;
    o.batch = 1;
    o.validate_every = 4;
    o.validation_examples = 2;
    o.bf16 = false;
    return o;
  }

  TemporaryFolder temporary_;
  const fs::path folder_ = temporary_.path();
};

TEST_F(Training, StoppedRunResumesBitForBit) {
  TrainOptions whole = options("whole", 8);
  train(whole, nothing);
  TrainOptions cut = options("cut", 8);
  struct Killed {};
  EXPECT_THROW(train(cut,
                     [](const TrainProgress& p) {
                       if (!p.validation.empty()) throw Killed{};
                     }),
               Killed);  // before the first checkpoint
  int lines = 0;
  try {
    train(cut, [&](const TrainProgress& p) {
      if (!p.validation.empty() && ++lines == 2) throw Killed{};
    });
  } catch (const Killed&) {
  }
  train(cut, nothing);
  EXPECT_EQ(values(whole.run + "/denoiser.crw"), values(cut.run + "/denoiser.crw"));
  const auto steps = [](const std::string& run) {
    const auto curves = nlohmann::json::parse(std::ifstream(run + "/curves.json"))["curves"];
    return std::pair{curves["step"], curves["loss"]};
  };
  EXPECT_EQ(steps(whole.run).first, nlohmann::json({4, 8}));
  EXPECT_EQ(steps(whole.run), steps(cut.run)) << "the log holds every validation once";
}

TEST_F(Training, LossFalls) {
  TrainOptions o = options("falls", 60);
  o.validate_every = 15;
  o.learning_rate = 5e-3;
  o.average = 0.9;
  std::vector<nlohmann::json> lines;
  std::vector<double> loss;  // on structures that are never trained on
  train(o, into(lines));
  std::transform(lines.begin(), lines.end(), std::back_inserter(loss),
                 [](const auto& line) -> double { return line["validation_loss"]; });
  ASSERT_EQ(loss.size(), 4u);
  EXPECT_LT(loss.back(), 0.96 * loss.front());
  EXPECT_NO_THROW(verify_weights(o.run + "/denoiser.crw"));
}

TEST_F(Training, StartsFromAWeightsFileOfTheSameArchitecture) {
  TrainOptions first = options("first", 8);
  first.learning_rate = 5e-3;
  train(first, nothing);
  const std::string weights = first.run + "/denoiser.crw";

  TrainOptions second = options("second", 4);
  second.init = weights;
  std::vector<nlohmann::json> lines;
  train(second, into(lines));
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0]["step"], 0);
  const WeightsInfo before = read_weights_info(weights), after = read_weights_info(second.run + "/denoiser.crw");
  // Stored as float16, computed in float32: equal up to that.
  EXPECT_NEAR(lines[0]["fsc_out"].get<double>(), before.metrics["fsc_out"].get<double>(), 1e-3);
  EXPECT_EQ(after.training["init_sha256"], before.sha256);

  second.run = options("other", 4).run;
  second.denoise.network.width = 16;
  try {
    train(second, nothing);
    FAIL() << "another architecture was taken";
  } catch (const InputError& e) {
    EXPECT_NE(std::string(e.what()).find("unet3-w8"), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find("unet3-w16"), std::string::npos) << e.what();
  }
  TrainOptions resumed = options("first", 12);
  resumed.init = weights;
  EXPECT_THROW(train(resumed, nothing), InputError) << "that run began at random";
}

TEST_F(Training, AMaskHeadMayBeginOnWeightsWithoutOne) {
  TrainOptions first = options("first", 8);
  first.learning_rate = 5e-3;
  train(first, nothing);
  const std::string weights = first.run + "/denoiser.crw";

  TrainOptions second = options("second", 8);
  second.init = weights;
  second.denoise.network.mask_head = true;
  second.learning_rate = 5e-3;
  second.average = 0;
  second.best = false;
  std::vector<nlohmann::json> lines;
  train(second, into(lines));
  const WeightsInfo before = read_weights_info(weights), after = read_weights_info(second.run + "/denoiser.crw");
  EXPECT_NEAR(lines[0]["fsc_out"].get<double>(), before.metrics["fsc_out"].get<double>(), 1e-3) << "1 everywhere";
  EXPECT_TRUE(after.architecture.mask_head);
  const auto head = load_weights(second.run + "/denoiser.crw").network->named_parameters()["last_weight"];
  ASSERT_EQ(head.size(0), 2);
  EXPECT_GT(head[1].abs().max().item<double>(), 0) << "it learns";

  // What the head took away cannot be left out.
  TrainOptions third = options("third", 4);
  third.init = second.run + "/denoiser.crw";
  EXPECT_THROW(train(third, nothing), InputError);
}

TEST_F(Training, EveryOptionOfTheNetworkIsServed) {
  TrainOptions o = options("options", 4);
  UNetConfig& network = o.denoise.network;
  network.norm = Norm::group;
  network.activation = Activation::leaky_relu;
  network.down = Down::strided;
  network.up = Up::trilinear;
  network.residual_blocks = network.deviation = network.mask_head = true;
  o.denoise.target = DenoiseTarget::cref;
  o.denoise.loss = DenoiseLoss::shells;
  o.denoise.turn = false;
  o.learning_rate = 5e-3;
  o.average = 0;
  std::vector<nlohmann::json> lines;
  train(o, into(lines));
  const std::string path = o.run + "/denoiser.crw";
  const WeightsInfo info = read_weights_info(path);
  EXPECT_EQ(info.architecture, network);
  EXPECT_EQ(info.training["loss"], "shells");
  EXPECT_EQ(info.training["turned"], false);
  DenoiserOptions serve;
  serve.device = "cpu";
  serve.threads = 1;
  const Map input = test::blobs(5)[0].input, output = make_denoiser(path, serve)->denoise(input);
  EXPECT_NE(output.data, input.data);

  // Activation has no weights: only the checkpoint's record tells that the run was another network's.
  network.activation = Activation::silu;
  o.steps = 8;
  EXPECT_THROW(train(o, nothing), InputError);
}

TEST_F(Training, KeepsTheBestWeightsAndStopsEarly) {
  TrainOptions good = options("good", 40);
  good.learning_rate = 5e-3;
  good.average = 0.5;
  good.validate_every = 20;
  train(good, nothing);

  // A learning rate too small to change a weight: nothing gets better, what it started from stays the best. (A large
  // one wrecks the network, but may wreck it to the identity, which is not worse than a network of 40 steps.)
  TrainOptions bad = options("bad", 40);
  bad.init = good.run + "/denoiser.crw";
  bad.learning_rate = 1e-30;
  bad.average = 0;
  bad.patience = 2;
  std::vector<nlohmann::json> lines;
  train(bad, into(lines));
  ASSERT_EQ(lines.size(), 3u) << "two validations without a better one end the run";
  EXPECT_EQ(lines[1]["objective"], lines[0]["objective"]);
  EXPECT_EQ(lines[2]["best_step"], 0);
  EXPECT_EQ(read_weights_info(bad.run + "/denoiser.crw").training["steps"], 0);
  lines.clear();
  train(bad, into(lines));
  EXPECT_TRUE(lines.empty()) << "a run that stopped early stays stopped";

  bad.run = options("last", 0).run;
  bad.best = false;
  train(bad, nothing);
  EXPECT_EQ(read_weights_info(bad.run + "/denoiser.crw").training["steps"], 8) << "the last weights, as asked";
}

TEST_F(Training, ARunFromWeightsThatWasKilledJudgesThemOnce) {
  TrainOptions first = options("first", 4);
  train(first, nothing);
  TrainOptions o = options("killed", 12);
  o.init = first.run + "/denoiser.crw";
  o.learning_rate = 1e-30;  // nothing gets better
  o.average = 0;
  o.patience = 2;
  struct Killed {};
  // Before the checkpoint of step 0, then between it and the next one.
  EXPECT_THROW(train(o, [](const TrainProgress&) { throw Killed{}; }), Killed);
  EXPECT_THROW(train(o,
                     [](const TrainProgress& p) {
                       if (p.step == 1) throw Killed{};
                     }),
               Killed);
  std::vector<nlohmann::json> lines;
  EXPECT_EQ(train(o, into(lines)), TrainEnd::patience);
  EXPECT_EQ(lines.size(), 2u) << "two later ones end the run: the weights themselves were judged before";
  const auto curves = nlohmann::json::parse(std::ifstream(o.run + "/curves.json"))["curves"];
  EXPECT_EQ(curves["step"], nlohmann::json({0, 4, 8}));
}

TEST_F(Training, WeightDecayMayChangeWhereARunGoesOn) {
  std::vector<std::vector<float>> found;
  for (const double decay : {0.0, 0.9}) {
    TrainOptions o = options("decay" + std::to_string(decay), 4);
    o.best = false;
    o.learning_rate = 1e-2;
    o.average = 0;
    o.warm_up = 0;
    o.weight_decay = 0;
    train(o, nothing);
    o.steps = 8;
    o.weight_decay = decay;
    train(o, nothing);
    found.push_back(values(o.run + "/denoiser.crw"));
  }
  EXPECT_NE(found[0], found[1]);
}

TEST_F(Training, OptionsThatDecideTheResultStayThoseOfTheRun) {
  const TrainOptions began = options("run", 4);
  train(began, nothing);
  fs::create_directories(folder_ / "copy");
  test::write_blob_shards((folder_ / "copy").string());
  const auto card = [&] {
    std::ifstream file(began.run + "/denoiser.md");
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  const std::string before = card();
  const auto refused = [&](const std::string& option, const std::string& old, const std::string& now,
                           const std::function<void(TrainOptions&)>& change) {
    TrainOptions o = options("run", 8);
    change(o);
    try {
      train(o, nothing);
      ADD_FAILURE() << "another " << option << " was taken";
    } catch (const InputError& e) {
      const std::string text = e.what();
      for (const auto& part : {option, old, now, std::string("--run")})
        EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
    }
  };
  refused("--target", "sharp", "cref", [](TrainOptions& o) { o.denoise.target = DenoiseTarget::cref; });
  refused("--loss", "both", "map", [](TrainOptions& o) { o.denoise.loss = DenoiseLoss::map; });
  refused("--turn", "yes", "no", [](TrainOptions& o) { o.denoise.turn = false; });
  refused("--assemblies", "0.0", "0.5", [](TrainOptions& o) { o.denoise.assemblies = 0.5; });
  refused("--seed", "1", "2", [](TrainOptions& o) { o.seed = 2; });
  refused("--rate", "0.001", "0.002", [](TrainOptions& o) { o.learning_rate = 0.002; });
  refused("--warm-up", "200", "7", [](TrainOptions& o) { o.warm_up = 7; });
  refused("--schedule", "cosine", "constant", [](TrainOptions& o) { o.cosine = false; });
  refused("--average", "0.999", "0.9", [](TrainOptions& o) { o.average = 0.9; });
  refused("--batch", "1", "2", [](TrainOptions& o) { o.batch = 2; });
  refused("--float32", "yes", "no", [](TrainOptions& o) { o.bf16 = true; });
  refused("--validation-examples", "2", "3", [](TrainOptions& o) { o.validation_examples = 3; });
  refused("--best", "yes", "no", [](TrainOptions& o) { o.best = false; });
  // Other noise of as many pairs, under the same names.
  fs::create_directories(folder_ / "other");
  for (const auto& entry : fs::directory_iterator(folder_ / "pairs")) {
    const std::string id = structure_id(entry.path().string());
    write_pairs((folder_ / "other" / (id + ".pairs")).string(), test::blobs(99), id);
  }
  refused("--pairs", "12 pairs in 3 shards", "digest", [&](TrainOptions& o) {
    o.denoise.held_out = o.denoise.pairs;
    o.denoise.pairs = (folder_ / "other").string();
  });
  refused("--held-out", "4 pairs in 1 shards", "digest",
          [&](TrainOptions& o) { o.denoise.held_out = (folder_ / "other").string(); });
  EXPECT_EQ(card(), before);

  // The same pairs in another folder, and what changes the result by rounding at most.
  TrainOptions on = options("run", 8);
  on.denoise.pairs = (folder_ / "copy").string();
  on.channels_last = true;
  on.threads = 1;
  on.validate_every = 2;
  on.save_every = 1;
  on.patience = 100;
  EXPECT_EQ(train(on, nothing), TrainEnd::finished);
  EXPECT_NE(card().find("weight decay 0.0001 |"), std::string::npos) << card();
  on.steps = 10;
  on.weight_decay = 0.5;
  EXPECT_EQ(train(on, nothing), TrainEnd::finished);
  EXPECT_NE(card().find("weight decay 0.0001, 0.5"), std::string::npos) << card();
}

TEST_F(Training, ACheckpointWithoutItsOptionsGoesOnAndSaysSo) {
  TrainOptions o = options("old", 4);
  train(o, nothing);
  {
    UNet3d model(o.denoise.network), average(o.denoise.network);
    torch::optim::AdamW optimiser(model->parameters());
    RunState state = load_checkpoint(o.run + "/checkpoint.pt", torch::kCPU, *model, *average, optimiser);
    EXPECT_EQ(state.options["--seed"], 1);
    state.options = nlohmann::json::object();
    save_checkpoint(o.run + "/checkpoint.pt", *model, *average, optimiser, state);
  }
  o.steps = 8;
  std::string note;
  EXPECT_EQ(train(o, [&](const TrainProgress& p) { note += p.note; }), TrainEnd::finished);
  EXPECT_NE(note.find("could not be compared"), std::string::npos) << note;
  const auto curves = nlohmann::json::parse(std::ifstream(o.run + "/curves.json"));
  EXPECT_EQ(curves["sessions"][1]["note"], note);
  o.steps = 12;
  o.seed = 2;
  EXPECT_THROW(train(o, nothing), InputError) << "from then on there is a record";
}

TEST_F(Training, StopsWhenAskedAndGoesOn) {
  TrainOptions whole = options("whole", 8);
  whole.best = false;
  train(whole, nothing);
  TrainOptions stopped = options("stopped", 8);
  stopped.best = false;
  int steps = 0;
  stopped.stop = [&] { return ++steps == 3; };  // between two validations
  EXPECT_EQ(train(stopped, nothing), TrainEnd::stopped);
  EXPECT_FALSE(fs::exists(stopped.run + "/denoiser.crw"));
  stopped.stop = {};
  std::vector<nlohmann::json> lines;
  EXPECT_EQ(train(stopped, into(lines)), TrainEnd::finished);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(values(whole.run + "/denoiser.crw"), values(stopped.run + "/denoiser.crw"));
}

TEST_F(Training, PartsOfABatchAreTheBatch) {
  std::vector<nlohmann::json> whole, parts;
  TrainOptions a = options("whole", 8), b = options("parts", 8);
  a.batch = b.batch = 4;
  b.accumulate = 4;
  train(a, into(whole));
  train(b, into(parts));
  ASSERT_EQ(whole.size(), parts.size());
  for (std::size_t i = 0; i < whole.size(); ++i) {
    EXPECT_NEAR(whole[i]["loss"].get<double>(), parts[i]["loss"].get<double>(), 1e-5);
    EXPECT_NEAR(whole[i]["validation_loss"].get<double>(), parts[i]["validation_loss"].get<double>(), 1e-5);
  }
  b.accumulate = 3;
  b.run = options("uneven", 8).run;
  EXPECT_THROW(train(b, nothing), UsageError);
}

TEST_F(Training, ChannelsLastChangesOnlyTheOrderInMemory) {
  std::vector<nlohmann::json> usual, last;
  TrainOptions a = options("usual", 4), b = options("last", 4);
  b.channels_last = true;
  train(a, into(usual));
  train(b, into(last));
  EXPECT_NEAR(usual.at(0)["loss"].get<double>(), last.at(0)["loss"].get<double>(), 1e-5);
  b.steps = 8;  // and resumes
  last.clear();
  EXPECT_EQ(train(b, into(last)), TrainEnd::finished);
  EXPECT_EQ(last.size(), 1u);
}

TEST_F(Training, VoxelSizeComesFromTheShards) {
  for (const auto& entry : fs::directory_iterator(folder_ / "pairs")) {
    const std::string id = structure_id(entry.path().string());
    auto pairs = test::blobs(7);
    for (auto& pair : pairs) pair.voxel = 1.06;
    write_pairs(entry.path().string(), pairs, id);
  }
  TrainOptions o = options("fine", 4);
  train(o, nothing);
  const WeightsInfo info = read_weights_info(o.run + "/denoiser.crw");
  EXPECT_EQ(info.voxel_size, 1.06);
  EXPECT_EQ(info.name, "denoiser-1.06A");
  EXPECT_EQ(info.block, 24);

  std::string odd;
  auto pairs = test::blobs(7);
  for (int i = 100; odd.empty(); ++i)
    if (!is_validation("T" + std::to_string(i))) odd = "T" + std::to_string(i);
  write_pairs((folder_ / "pairs" / (odd + ".pairs")).string(), pairs, odd);
  try {
    train(o, nothing);
    FAIL() << "two voxel sizes were taken";
  } catch (const InputError& e) {
    EXPECT_NE(std::string(e.what()).find(odd + ".pairs"), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find("1.06"), std::string::npos) << e.what();
  }
  pairs[1].voxel = 3;
  EXPECT_THROW(write_pairs((folder_ / "x.pairs").string(), pairs, "X"), UsageError);
}

TEST_F(Training, ValidatesOnAnotherFolderWhereAsked) {
  TrainOptions o = options("same", 4);
  std::vector<nlohmann::json> own, other;
  train(o, into(own));
  fs::create_directories(folder_ / "noisier");
  for (const auto& entry : fs::directory_iterator(folder_ / "pairs")) {
    const std::string id = structure_id(entry.path().string());
    auto pairs = test::blobs(9);
    for (auto& pair : pairs)
      for (std::size_t i = 0; i < pair.input.size(); ++i)
        pair.input.data[i] += 2 * (pair.input.data[i] - pair.target.data[i]);
    write_pairs((folder_ / "noisier" / (id + ".pairs")).string(), pairs, id);
  }
  o.run = options("elsewhere", 4).run;
  o.denoise.held_out = (folder_ / "noisier").string();
  train(o, into(other));
  EXPECT_EQ(own.at(0)["loss"], other.at(0)["loss"]) << "trained on the same pairs";
  EXPECT_LT(other.at(0)["fsc_in"].get<double>(), own.at(0)["fsc_in"].get<double>() - 0.05);
}

TEST_F(Training, TakesBoxesOfTwoSizes) {
  test::write_large_shards((folder_ / "pairs").string(), (folder_ / "pairs" / "large").string());
  TrainOptions o = options("boxes", 4);
  o.batch = 2;
  EXPECT_EQ(train(o, nothing), TrainEnd::finished);
  EXPECT_EQ(read_weights_info(o.run + "/denoiser.crw").block, 32);
}

TEST_F(Training, LeavesCurvesAndAModelCard) {
  TrainOptions o = options("card", 8);
  o.provenance = {"0.1.0", "abcdef", "cryored train --run 'a|b'"};
  train(o, nothing);
  const auto curves = nlohmann::json::parse(std::ifstream(o.run + "/curves.json"));
  EXPECT_EQ(curves["curves"]["fsc_out"].size(), 2u);
  EXPECT_EQ(curves["sessions"][0]["to_step"], 8);
  const auto text = [](const std::string& path) {
    std::ifstream file(path);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  const std::string card = text(o.run + "/denoiser.md"), page = text(o.run + "/curves.html");
  for (const char* part : {"# Model card of denoiser-2.5A", "commit abcdef", "    cryored train --run 'a|b'",
                           "structures 3", "batch 1", "fsc out", "## Limits"})
    EXPECT_NE(card.find(part), std::string::npos) << part << "\n" << card;
  EXPECT_NE(page.find("<svg"), std::string::npos);
  EXPECT_NE(page.find("worst shell"), std::string::npos);
}

TEST_F(Training, OneTrainingInAFolder) {
  TrainOptions o = options("busy", 8);
  int refused = 0;
  train(o, [&](const TrainProgress&) {
    if (refused++ > 0) return;
    EXPECT_THROW(train(o, nothing), SystemError);
  });
  EXPECT_GT(refused, 0);
}

TEST_F(Training, NoShardsIsAnError) {
  TrainOptions o = options("none", 4);
  o.denoise.pairs = (folder_ / "empty").string();
  EXPECT_THROW(train(o, nothing), InputError);
}

}  // namespace
}  // namespace cryored
