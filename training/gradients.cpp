#include "training/gradients.hpp"

#include <torch/types.h>

namespace cryored {

using torch::Tensor;

// One buffer and one message: latency counts more than the copies.
void sum_over_ranks(const std::vector<Tensor>& parameters, StepFigures& figures, Ranks& ranks, DeviceSum* on_device) {
  if (ranks.size() == 1) return;
  torch::NoGradGuard no_grad;
  std::vector<Tensor> parts;
  std::int64_t count = 0;
  for (const auto& p : parameters) {
    parts.push_back((p.grad().defined() ? p.grad() : torch::zeros_like(p)).reshape({-1}).to(torch::kFloat));
    count += p.numel();
  }
  parts.push_back(
      torch::tensor({static_cast<float>(figures.loss), figures.stop ? 1.0F : 0.0F}).to(parts.at(0).device()));
  Tensor all = torch::cat(parts);
  if (on_device) {
    on_device->sum(all);
  } else {
    all = all.cpu();
    ranks.sum({all.data_ptr<float>(), static_cast<std::size_t>(all.numel())});
  }
  figures.loss = all[count].item<double>();
  figures.stop = all[count + 1].item<double>() > 0;
  std::int64_t at = 0;
  for (const auto& p : parameters) {
    const Tensor sum = all.narrow(0, at, p.numel()).view(p.sizes());
    if (p.grad().defined())
      p.grad().copy_(sum);
    else
      p.mutable_grad() = sum.to(p.device(), p.scalar_type(), false, true);
    at += p.numel();
  }
}

void broadcast_tensors(const std::vector<Tensor>& tensors, Ranks& ranks) {
  if (ranks.size() == 1) return;
  torch::NoGradGuard no_grad;
  for (const auto& t : tensors) {
    Tensor copy = t.detach().cpu().contiguous().clone();
    ranks.broadcast(copy.data_ptr(), static_cast<std::size_t>(copy.nbytes()));
    t.copy_(copy);
  }
}

}  // namespace cryored
