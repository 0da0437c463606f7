#pragma once
// MRC files built byte by byte, so that the reader is tested against the format and not
// against our own writer.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>

#include "formats_testing.hpp"

namespace cryored::testing {

class RawMrc {
 public:
  RawMrc(int nx, int ny, int nz, int mode, bool big_endian = false) : big_(big_endian), header_(1024, '\0') {
    set(0, nx), set(1, ny), set(2, nz), set(3, mode);
    set(7, nx), set(8, ny), set(9, nz);
    for (int axis = 0; axis < 3; ++axis)
      set(10 + axis, 2.5f * static_cast<float>(axis == 0 ? nx : axis == 1 ? ny : nz));
    for (int axis = 0; axis < 3; ++axis) set(16 + axis, axis + 1);
    set(22, 1);
    header_.replace(208, 4, "MAP ");
    header_[212] = header_[213] = big_ ? 0x11 : 0x44;
  }
  template <typename T>
  RawMrc& set(int word, T value) {
    static_assert(sizeof value == 4);
    header_.replace(static_cast<std::size_t>(word) * 4, 4, bytes_of(value));
    return *this;
  }
  RawMrc& set_bytes(std::size_t at, const std::string& bytes) {
    header_.replace(at, bytes.size(), bytes);
    return *this;
  }
  template <typename T>
  RawMrc& add(T value) {
    data_ += bytes_of(value);
    return *this;
  }
  RawMrc& extended(std::size_t count) {
    set(23, static_cast<std::int32_t>(count));
    extended_ = std::string(count, 'E');
    return *this;
  }
  std::string bytes() const { return header_ + extended_ + data_; }
  std::string write(const std::string& path) const {
    write_bytes(path, bytes());
    return path;
  }

 private:
  template <typename T>
  std::string bytes_of(T value) const {
    std::string raw(sizeof value, '\0');
    std::memcpy(raw.data(), &value, sizeof value);
    if (big_) std::reverse(raw.begin(), raw.end());
    return raw;
  }
  bool big_;
  std::string header_, extended_, data_;
};

}  // namespace cryored::testing
