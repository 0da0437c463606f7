#pragma once

#include "core/base/error.hpp"

namespace cryored {

/// A GPU has failed while it computed, and this process may never get over it: CUDA's context may be lost, and every
/// later call with it; exit code 1.
class DeviceFailure : public SystemError {
 public:
  using SystemError::SystemError;
};

}  // namespace cryored
