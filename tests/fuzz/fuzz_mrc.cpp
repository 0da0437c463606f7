// Any bytes are either refused with an InputError or every section can be read.

#include <vector>

#include "core/base/error.hpp"
#include "core/formats/mrc.hpp"
#include "fuzz_support.hpp"

using namespace cryored;
using fuzzing::expect;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzzing::MemoryFile memory(data, size);
  try {
    const MrcFile file(memory.path());
    const MrcHeader& h = file.header();
    expect(h.data_offset + h.data_bytes <= size, "data inside the file");
    expect(h.pixel_size >= 0, "pixel size");
    std::vector<float> section(h.nx * h.ny);
    file.read_section(0, section.data());
    file.read_section(h.nz - 1, section.data());
    const Map map = file.read();
    expect(map.size() == h.nx * h.ny * h.nz, "size of the map");
    if (const float* raw = file.float_data()) {
      float sum = 0;
      for (std::size_t i = 0; i < map.size(); ++i) sum += raw[i];
      volatile float keep = sum;
      static_cast<void>(keep);
    }
    const MrcHeader again = read_mrc_header(memory.path());
    expect(again.nx == h.nx && again.mode == h.mode && again.data_bytes == h.data_bytes, "same header both ways");
  } catch (const InputError&) {
  }
  return 0;
}
