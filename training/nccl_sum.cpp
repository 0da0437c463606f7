// libcryored_nccl.so: NCCL as libtorch_cuda.so brings it, loaded where several ranks have a GPU each. Its symbols are
// found in libtorch_cuda.so, which prepare_device() has loaded into the global scope; nothing links it.

#include <c10/util/Exception.h>
#include <torch/csrc/cuda/nccl.h>

#include "core/base/error.hpp"
#include "training/device_sum.hpp"

namespace {

namespace nccl = torch::cuda::nccl;

class NcclSum : public cryored::DeviceSum {
 public:
  explicit NcclSum(cryored::Ranks& ranks) {
    nccl::ncclUniqueId id{};
    guard("start", [&] {
      if (ranks.first()) nccl::get_unique_id(id);
    });
    ranks.broadcast(&id, sizeof id);
    guard("start", [&] { communicator_ = nccl::comm_init_rank(ranks.size(), id, ranks.rank()); });
  }

  void sum(torch::Tensor& values) override {
    guard("sum", [&] {
      std::vector<torch::Tensor> both{values};
      nccl::all_reduce(both, both, static_cast<std::int32_t>(nccl::ncclRedOp::Sum), {}, {communicator_});
    });
  }

 private:
  template <class Work>
  static void guard(const char* what, const Work& work) {
    try {
      work();
    } catch (const c10::Error& e) {
      throw cryored::SystemError(cryored::Problem{"NCCL", what, e.what_without_backtrace(), "a GPU for each rank",
                                                  "set NCCL_DEBUG=INFO to see more; the same command goes on"});
    }
  }

  nccl::ncclComm_t communicator_ = nullptr;
};

}  // namespace

extern "C" __attribute__((visibility("default"))) cryored::DeviceSum* cryored_nccl_sum(cryored::Ranks& ranks) {
  return new NcclSum(ranks);
}
