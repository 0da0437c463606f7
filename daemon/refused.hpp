#pragma once
// Why a request is refused before its turn, and whose it is.

#include "core/base/error.hpp"
#include "daemon/job.hpp"

namespace cryored::daemon {

/// Thrown by Engine::examine() in place of `why` where the words at least name a map: so `cryored status` and the log
/// can say of which job.
class Refused : public Error {
 public:
  Refused(const Error& why, Facts whose) : Error(why.what()), facts(std::move(whose)), code_(why.exit_code()) {}
  int exit_code() const override { return code_; }
  Facts facts;

 private:
  int code_;
};

}  // namespace cryored::daemon
