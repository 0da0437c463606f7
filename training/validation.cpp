#include "training/validation.hpp"

#include <torch/fft.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>

#include "core/base/error.hpp"
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

std::vector<float> target_filter(DenoiseTarget target, const std::vector<float>& half_fsc) {
  std::vector<float> filter(half_fsc.size(), 1.f);
  for (std::size_t s = 0; s < filter.size() && target != DenoiseTarget::sharp; ++s) {
    const float fsc = std::clamp(half_fsc[s], 0.f, 1.f);
    filter[s] = target == DenoiseTarget::fsc ? fsc : std::sqrt(2 * fsc / (1 + fsc));
  }
  return filter;
}

std::vector<Tensor> tensors_of(const Example& example, int channels, DenoiseTarget target) {
  Tensor input = tensor_of(example.input);
  if (channels > 1)
    input = torch::cat(
        {input, tensor_of(multiply_shells(example.input, target_filter(DenoiseTarget::cref, example.half_fsc)))});
  return {input, tensor_of(example.target), torch::tensor(static_cast<std::int64_t>(example.cut)),
          torch::tensor(target_filter(target, example.half_fsc))};
}

ShellLoss::ShellLoss(std::int64_t box, torch::Device device, DenoiseLoss kind) : shells_(box / 2 + 1), kind_(kind) {
  const auto h = torch::arange(shells_, torch::kFloat);
  const auto i = torch::arange(box, torch::kFloat);
  const auto f = torch::where(i > static_cast<double>(box / 2), i - static_cast<double>(box), i);
  const auto r = (f.view({-1, 1, 1}).square() + f.view({1, -1, 1}).square() + h.view({1, 1, -1}).square()).sqrt();
  index_ = r.round().to(torch::kLong).clamp_max(shells_).view({-1}).to(device);
  number_ = torch::arange(shells_, torch::TensorOptions(torch::kLong).device(device));
}

Tensor ShellLoss::operator()(const Tensor& output, const Tensor& truth, const Tensor& cut, const Tensor& filter) const {
  const auto transform = [](const Tensor& maps) { return torch::fft::rfftn(maps.squeeze(1), {}, {1, 2, 3}); };
  const Tensor sharp = transform(truth);
  // Coefficients beyond the last shell, which no sum counts, get the zero.
  const Tensor wanted = sharp * torch::constant_pad_nd(filter, {0, 1}).index_select(1, index_).view_as(sharp);
  const Tensor error = shell_sums(transform(output) - wanted), power = shell_sums(sharp);  // [batch, shells]
  const Tensor inside = ((number_ > 0) & (number_ < cut.view({-1, 1}))).to(torch::kFloat);
  const Tensor ratio = error / (power + 1e-6 * power.sum(1, true));
  const Tensor by_shell = (ratio * inside).sum(1) / inside.sum(1);
  const Tensor whole = error.sum(1) / power.sum(1);
  return kind_ == DenoiseLoss::shells ? by_shell.mean()
         : kind_ == DenoiseLoss::map  ? whole.mean()
                                      : 0.5 * (by_shell + whole).mean();
}

Tensor ShellLoss::shell_sums(const Tensor& transforms) const {
  const Tensor flat = torch::view_as_real(transforms).square().sum(-1).reshape({transforms.size(0), -1});
  return torch::zeros({transforms.size(0), shells_ + 1}, flat.options())
      .index_add(1, index_, flat)
      .narrow(1, 0, shells_);
}

const ShellLoss& ShellLosses::of(std::int64_t box) {
  return losses_.try_emplace(box, box, device_, kind_).first->second;
}

Validation validate(UNet3dImpl& network, const std::vector<Example>& examples, ShellLosses& losses, double voxel_size,
                    torch::Device device) {
  torch::NoGradGuard no_grad;
  Validation v;
  std::size_t largest = 0;
  for (const auto& e : examples) largest = std::max(largest, e.input.nx);
  std::vector<double> change(largest / 2 + 2), count(largest / 2 + 2);
  double shells = 0;
  for (const auto& e : examples) {
    const auto parts = tensors_of(e, network.config().in_channels);
    const auto box = e.input.nx;
    const Tensor output = network.forward(parts[0].unsqueeze(0).to(device));
    v.loss +=
        losses
            .of(static_cast<std::int64_t>(box))(output, parts[1].unsqueeze(0).to(device),
                                                parts[2].unsqueeze(0).to(device), parts[3].unsqueeze(0).to(device))
            .item<double>() /
        static_cast<double>(examples.size());
    const auto before = fsc(e.input, e.target), after = fsc(map_of(output), e.target);
    for (auto s = static_cast<std::size_t>(std::ceil(static_cast<double>(box) * voxel_size / 15));
         static_cast<int>(s) < e.cut; ++s) {
      const std::size_t same = (s * largest + box / 2) / box;  // the shell of the largest box at this resolution
      v.fsc_in += before[s];
      v.fsc_out += after[s];
      change[same] += after[s] - before[s];
      count[same] += 1;
      shells += 1;
    }
  }
  if (shells == 0)
    throw InputError(Problem{"validation pairs", "cut", "none reaches 15 A", "pairs with shells beyond 15 A",
                             "make pairs of a larger box, or of later iterations"});
  v.fsc_in /= shells;
  v.fsc_out /= shells;
  for (std::size_t s = 0; s < change.size(); ++s)
    if (count[s] > 0) v.worst_shell = std::min(v.worst_shell, change[s] / count[s]);
  return v;
}

}  // namespace cryored
