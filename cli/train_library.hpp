#pragma once
// The trainer at need: it lives in libcryored_train.so with LibTorch behind it, so that the other commands start
// without either.

#include <functional>

#include "training/trainer.hpp"

namespace cryored {

/// What the library hands out; both sides are built together, `layout` guards against a mixed installation.
struct TrainApi {
  static constexpr int current_layout = 3;
  int layout;
  const char* version;  ///< PROJECT_VERSION
  TrainEnd (*train)(const TrainOptions& options, const std::function<void(const TrainProgress&)>& progress);
};

/// Loads the library, once per process; it stays loaded. Throws SystemError when it or LibTorch is missing, or when it
/// belongs to another version.
const TrainApi& load_train_library();

}  // namespace cryored
