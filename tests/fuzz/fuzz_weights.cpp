// Any bytes are either refused with an InputError or every tensor can be read, and with the digest
// made right the whole file is accepted.

#include <cstring>
#include <span>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/sha256.hpp"
#include "fuzz_support.hpp"
#include "models/weights_file.hpp"

using namespace cryored;
using fuzzing::expect;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::byte> file(size);
  if (size > 0) std::memcpy(file.data(), data, size);
  try {
    parse_weights(file, "fuzz");
  } catch (const InputError&) {
  }
  try {
    const WeightsInfo info = parse_weights_structure(file, "fuzz");
    expect(info.file_bytes == size, "size of the file");
    expect(!info.model.is_null() || info.block % info.architecture.multiple() == 0, "block");
    for (const auto& tensor : info.tensors) {
      expect(info.data_start + tensor.offset + tensor.bytes() + 32 <= size, "tensor inside the file");
      try {
        expect(tensor_values(file, info, tensor).size() == tensor.elements(), "elements");
      } catch (const InputError&) {  // not finite
      }
    }
    const std::string digest = sha256_bytes(file.data(), size - 32);
    for (std::size_t i = 0; i < 32; ++i)
      file[size - 32 + i] = static_cast<std::byte>(std::stoul(digest.substr(2 * i, 2), nullptr, 16));
    expect(parse_weights(file, "fuzz").sha256 == digest, "digest");
  } catch (const InputError&) {
  }
  return 0;
}
