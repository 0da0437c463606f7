#include "core/base/error.hpp"

namespace cryored {
namespace {

std::string compose(const Problem& p) {
  std::string s = p.where;
  if (!p.field.empty()) s += (s.empty() ? "" : ": ") + p.field;
  if (!p.found.empty()) s += (s.empty() ? "" : ": ") + std::string("found ") + p.found;
  if (!p.allowed.empty()) s += "; allowed: " + p.allowed;
  if (!p.remedy.empty()) s += ". Remedy: " + p.remedy;
  return s;
}

}  // namespace

Error::Error(const Problem& problem) : std::runtime_error(compose(problem)) {}

}  // namespace cryored
