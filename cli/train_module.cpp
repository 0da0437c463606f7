// libcryored_train.so: the trainer, linked with LibTorch; loaded by cryored train.

#include "cli/train_library.hpp"

namespace {

const cryored::TrainApi api{cryored::TrainApi::current_layout, CRYORED_VERSION, cryored::train};

}  // namespace

extern "C" __attribute__((visibility("default"))) const cryored::TrainApi* cryored_train_api() { return &api; }
