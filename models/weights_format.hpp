#pragma once
// Constants shared by the reader and the writer of weights files. Private to models/.

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace cryored::weights_format {

static_assert(std::endian::native == std::endian::little, "tensor data is copied as stored");

inline constexpr std::array<char, 8> kMagic{'C', 'R', 'W', 'E', 'I', 'G', 'H', 'T'};
inline constexpr std::uint32_t kVersion = 1;
inline constexpr std::uint64_t kHeader = 32, kDigest = 32, kAlign = 64;
inline constexpr std::uint64_t kMaxJson = 16u << 20, kMaxFile = std::uint64_t{4} << 30;

/// "type" of the denoiser's architecture; every other one is another kind of network.
inline constexpr const char* kDenoiserType = "residual 3D U-Net";

inline std::uint64_t round_up(std::uint64_t n) { return (n + kAlign - 1) / kAlign * kAlign; }

/// Bytes as lower-case hexadecimal digits.
inline std::string hexadecimal(std::span<const std::byte> bytes) {
  static const char* const digits = "0123456789abcdef";
  std::string s;
  for (const auto b : bytes) {
    s += digits[std::to_integer<unsigned>(b) >> 4];
    s += digits[std::to_integer<unsigned>(b) & 15];
  }
  return s;
}

}  // namespace cryored::weights_format
