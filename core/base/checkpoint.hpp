#pragma once
// Places where a long computation can be given up. Libraries call checkpoint() between pieces of work and before a
// file gets its final name; it does nothing unless the program has put a CheckpointScope around the call.

#include <functional>

namespace cryored {

/// Calls what the innermost scope of this thread set. What that throws ends the work; nothing that is not
/// finished appears under a final name then.
void checkpoint();

class CheckpointScope {
 public:
  explicit CheckpointScope(std::function<void()> check);
  ~CheckpointScope();
  CheckpointScope(const CheckpointScope&) = delete;
  CheckpointScope& operator=(const CheckpointScope&) = delete;

 private:
  std::function<void()> check_;
  const std::function<void()>* before_;
};

}  // namespace cryored
