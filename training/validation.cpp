#include "training/validation.hpp"

#include <torch/torch.h>

#include <algorithm>
#include <cmath>

#include "core/fourier/shells.hpp"

namespace cryored {
namespace {

using torch::Tensor;

Tensor tensor_of(const Map& map) {
  const auto n = static_cast<std::int64_t>(map.nx);
  return torch::from_blob(const_cast<float*>(map.data.data()), {1, n, n, n}).clone();
}

Map map_of(const Tensor& t) {
  const Tensor c = t.detach().to(torch::kCPU, torch::kFloat).contiguous();
  const auto n = static_cast<std::size_t>(c.size(-1));
  Map map(n, n, n);
  std::copy_n(c.data_ptr<float>(), map.size(), map.data.data());
  return map;
}

}  // namespace

Batch stack(const std::vector<Example>& examples) {
  std::vector<Tensor> in, out;
  std::vector<std::int64_t> cut;
  for (const auto& e : examples) {
    in.push_back(tensor_of(e.input));
    out.push_back(tensor_of(e.target));
    cut.push_back(e.cut);
  }
  return {torch::stack(in), torch::stack(out), torch::tensor(cut)};
}

ShellLoss::ShellLoss(std::int64_t box, torch::Device device) : shells_(box / 2 + 1) {
  const auto h = torch::arange(shells_, torch::kFloat);
  const auto i = torch::arange(box, torch::kFloat);
  const auto f = torch::where(i > static_cast<double>(box / 2), i - static_cast<double>(box), i);
  const auto r = (f.view({-1, 1, 1}).square() + f.view({1, -1, 1}).square() + h.view({1, 1, -1}).square()).sqrt();
  index_ = r.round().to(torch::kLong).clamp_max(shells_).view({-1}).to(device);
  number_ = torch::arange(shells_, torch::TensorOptions(torch::kLong).device(device));
}

Tensor ShellLoss::operator()(const Tensor& output, const Tensor& target, const Tensor& cut) const {
  const Tensor error = shell_sums(output - target), power = shell_sums(target);  // [batch, shells]
  const Tensor inside = ((number_ > 0) & (number_ < cut.view({-1, 1}))).to(torch::kFloat);
  const Tensor ratio = error / (power + 1e-6 * power.sum(1, true));
  const Tensor by_shell = (ratio * inside).sum(1) / inside.sum(1);
  const Tensor whole = error.sum(1) / power.sum(1);
  return 0.5 * (by_shell + whole).mean();
}

Tensor ShellLoss::shell_sums(const Tensor& maps) const {
  const Tensor p = torch::view_as_real(torch::fft::rfftn(maps.squeeze(1), {}, {1, 2, 3})).square().sum(-1);
  const Tensor flat = p.reshape({maps.size(0), -1});
  return torch::zeros({maps.size(0), shells_ + 1}, flat.options()).index_add(1, index_, flat).narrow(1, 0, shells_);
}

Validation validate(UNet3d& network, const std::vector<Example>& examples, const ShellLoss& loss, double voxel_size,
                    torch::Device device) {
  torch::NoGradGuard no_grad;
  Validation v;
  std::vector<double> change, count;
  double shells = 0;
  for (const auto& e : examples) {
    const Batch b = stack({e});
    const Tensor output = network->forward(b.input.to(device));
    v.loss += loss(output, b.target.to(device), b.cut.to(device)).item<double>() / static_cast<double>(examples.size());
    const auto before = fsc(e.input, e.target), after = fsc(map_of(output), e.target);
    const auto box = e.input.nx;
    change.resize(before.size());
    count.resize(before.size());
    for (auto s = static_cast<std::size_t>(std::ceil(static_cast<double>(box) * voxel_size / 15));
         static_cast<int>(s) < e.cut; ++s) {
      v.fsc_in += before[s];
      v.fsc_out += after[s];
      change[s] += after[s] - before[s];
      count[s] += 1;
      shells += 1;
    }
  }
  v.fsc_in /= shells;
  v.fsc_out /= shells;
  for (std::size_t s = 0; s < change.size(); ++s)
    if (count[s] > 0) v.worst_shell = std::min(v.worst_shell, change[s] / count[s]);
  return v;
}

}  // namespace cryored
