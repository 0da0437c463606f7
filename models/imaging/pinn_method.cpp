#include "models/imaging/pinn_method.hpp"

#include "models/imaging/pinn_weights.hpp"
#include "models/imaging/wave_method.hpp"

namespace cryored {
namespace {

class PinnMethod : public WaveMethod {
 public:
  PinnMethod(const std::string& weights, Precision precision, const DeviceChoice& choice, int threads)
      : WaveMethod(choice, threads, kPinnGridResolution), loaded_(load_pinn(weights)), precision_(precision) {
    load(*loaded_.network.ptr(), precision == Precision::bf16 ? torch::kBFloat16 : torch::kFloat);
  }

  std::string description() const override {
    return "pinn " + loaded_.info.name + " (" + loaded_.network->config().name() +
           (precision_ == Precision::bf16 ? ", bf16" : "") + ", sha256 " + loaded_.info.sha256 + ")";
  }

 protected:
  torch::Tensor phases(const Batch& batch) const override {
    return loaded_.network.ptr()->forward(batch.g, batch.transfer, batch.absorbed);
  }

 private:
  LoadedPinn loaded_;
  Precision precision_;
};

}  // namespace

std::unique_ptr<PhaseMethod> make_pinn(const std::string& weights, Precision precision, const DeviceChoice& device,
                                       int threads) {
  return std::make_unique<PinnMethod>(weights, precision, device, threads);
}

}  // namespace cryored
