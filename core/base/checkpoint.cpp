#include "core/base/checkpoint.hpp"

#include <utility>

namespace cryored {
namespace {

thread_local const std::function<void()>* current = nullptr;

}  // namespace

void checkpoint() {
  if (current && *current) (*current)();
}

CheckpointScope::CheckpointScope(std::function<void()> check) : check_(std::move(check)), before_(current) {
  current = &check_;
}

CheckpointScope::~CheckpointScope() { current = before_; }

}  // namespace cryored
