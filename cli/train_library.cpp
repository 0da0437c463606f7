#include "cli/train_library.hpp"

#include "cli/installation.hpp"
#include "cli/module.hpp"

namespace cryored {

const TrainApi& load_train_library() {
  static const TrainApi& api = load_module<TrainApi>(train_library_path(), "cryored_train_api", "trainer's library");
  return api;
}

}  // namespace cryored
