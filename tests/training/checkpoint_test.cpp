#include "training/checkpoint.hpp"

#include <gtest/gtest.h>
#include <torch/nn/module.h>

#include <fstream>
#include <iterator>
#include <string>

#include "core/base/error.hpp"
#include "core/base/temporary_folder.hpp"

namespace cryored {
namespace {

struct Line : torch::nn::Module {
  torch::Tensor w = register_parameter("w", torch::ones({3}));
};

/// Network, average and an optimiser that has made a step.
struct State {
  void step() {
    model.w.mutable_grad() = torch::full_like(model.w, 0.5);
    optimiser.step();
  }
  const torch::Tensor& momentum() {
    return static_cast<torch::optim::AdamWParamState&>(*optimiser.state().at(model.w.unsafeGetTensorImpl())).exp_avg();
  }
  Line model, average;
  torch::optim::AdamW optimiser{model.parameters(), torch::optim::AdamWOptions(0.1)};
};

TEST(Checkpoint, GoesOnOnAnotherDevice) {
  const TemporaryFolder folder;
  const std::string path = folder / "checkpoint.pt";
  State saved;
  saved.step();
  RunState state;
  state.step = 7;
  save_checkpoint(path, saved.model, saved.average, saved.optimiser, state);

  State same;
  EXPECT_EQ(load_checkpoint(path, torch::kCPU, same.model, same.average, same.optimiser).step, 7);
  EXPECT_TRUE(same.model.w.equal(saved.model.w));
  EXPECT_TRUE(same.momentum().equal(saved.momentum()));

  // As if written on a device that this machine lacks: the file names it for every tensor.
  std::ifstream file(path, std::ios::binary);
  std::string bytes(std::istreambuf_iterator<char>(file), {});
  int tensors = 0;
  const std::string here("X\x03\0\0\0cpu", 8), elsewhere("X\x03\0\0\0xpu", 8);
  for (auto at = bytes.find(here); at != std::string::npos; at = bytes.find(here, at)) {
    bytes.replace(at, here.size(), elsewhere);
    ++tensors;
  }
  ASSERT_GT(tensors, 0);
  std::ofstream(path, std::ios::binary) << bytes;
  State other;
  EXPECT_EQ(load_checkpoint(path, torch::kCPU, other.model, other.average, other.optimiser).step, 7);
  EXPECT_TRUE(other.model.w.equal(saved.model.w));
  EXPECT_TRUE(other.momentum().equal(saved.momentum()));
  other.step();
  saved.step();
  EXPECT_TRUE(other.model.w.equal(saved.model.w));
}

TEST(Checkpoint, WhatIsNoneIsRefused) {
  const TemporaryFolder folder;
  const std::string path = folder / "checkpoint.pt";
  std::ofstream(path) << "no archive";
  State run;
  EXPECT_THROW(load_checkpoint(path, torch::kCPU, run.model, run.average, run.optimiser), InputError);
}

}  // namespace
}  // namespace cryored
