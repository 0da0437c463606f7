// A request is either refused with an InputError or holds what its header promises. The first
// line of the input is the name of the file, so that RELION's naming is parsed as well.

#include <algorithm>
#include <cmath>

#include "core/base/error.hpp"
#include "core/reconstruct/request.hpp"
#include "fuzz_support.hpp"

using namespace cryored;
using fuzzing::expect;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t newline = std::min(input.find('\n'), input.size());
  const std::string name(input.substr(0, newline));
  try {
    const ReconstructRequest r = parse_request(input.substr(newline), name);
    expect(r.box >= 4 && r.box % 2 == 0 && r.current_size >= 2 && r.current_size <= r.box, "sizes");
    expect(r.dimensionality == 2 || r.dimensionality == 3, "dimensionality");
    expect(r.padded_box() >= r.box, "padded box");
    expect(r.tau2.size() == static_cast<std::size_t>(r.box / 2 + 1) && r.fsc.size() == r.tau2.size(), "shells");
    for (std::size_t s = 0; s < r.tau2.size(); ++s)
      expect(std::isfinite(r.tau2[s]) && r.tau2[s] >= 0 && std::abs(r.fsc[s]) <= 1.001, "shell values");
    expect(!r.data_real.empty() && !r.data_imag.empty() && !r.weight.empty() && !r.result.empty(), "paths");
    expect(!r.pixel_size || *r.pixel_size > 0, "pixel size");
    expect(r.half >= 0 && r.half <= 2 && (r.iteration >= 0) == !r.job_root.empty(), "name");
  } catch (const InputError&) {
  }
  return 0;
}
