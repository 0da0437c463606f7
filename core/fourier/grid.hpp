#pragma once
// Dense 3D arrays (2D ones have nz == 1). x is the fastest axis:
// index(x, y, z) = (z * ny + y) * nx + x, as in MRC files and RELION.

#include <complex>
#include <cstddef>
#include <memory>
#include <new>
#include <vector>

#include "core/base/huge_pages.hpp"

namespace cryored {

/// 64-byte aligned memory that is left uninitialised by resize (large maps are
/// always overwritten; zeroing 0.5 GB costs more than a pass of the work), in huge pages where it is large.
template <typename T>
struct AlignedAllocator {
  using value_type = T;
  AlignedAllocator() = default;
  template <typename U>
  AlignedAllocator(const AlignedAllocator<U>&) {}
  T* allocate(std::size_t n) {
    void* const memory = ::operator new(n * sizeof(T), alignment(n));
    if (n * sizeof(T) >= 2 * kHugePage) prefer_huge_pages(memory, n * sizeof(T));
    return static_cast<T*>(memory);
  }
  void deallocate(T* p, std::size_t n) { ::operator delete(p, alignment(n)); }
  template <typename U, typename... Args>
  void construct(U* p, Args&&... args) {
    if constexpr (sizeof...(Args) == 0)
      ::new (static_cast<void*>(p)) U;
    else
      ::new (static_cast<void*>(p)) U(static_cast<Args&&>(args)...);
  }
  template <typename U>
  bool operator==(const AlignedAllocator<U>&) const {
    return true;
  }

 private:
  static std::align_val_t alignment(std::size_t n) {
    return std::align_val_t{n * sizeof(T) >= 2 * kHugePage ? kHugePage : 64};
  }
};

template <typename T>
struct Grid {
  std::size_t nx = 0, ny = 0, nz = 0;
  std::vector<T, AlignedAllocator<T>> data;

  Grid() = default;
  /// Elements are uninitialised; use fill() where zeros are needed.
  /// Throws std::bad_alloc for sizes that no memory holds.
  Grid(std::size_t x, std::size_t y, std::size_t z) : nx(x), ny(y), nz(z), data(product(x, y, z)) {}

  std::size_t size() const { return data.size(); }
  std::size_t index(std::size_t x, std::size_t y, std::size_t z) const { return (z * ny + y) * nx + x; }
  T& operator()(std::size_t x, std::size_t y, std::size_t z) { return data[index(x, y, z)]; }
  const T& operator()(std::size_t x, std::size_t y, std::size_t z) const { return data[index(x, y, z)]; }
  void fill(T value) { data.assign(data.size(), value); }

 private:
  static std::size_t product(std::size_t x, std::size_t y, std::size_t z) {
    std::size_t plane = 0, all = 0;
    // A product that wraps around would be memory that is too small.
    if (__builtin_mul_overflow(x, y, &plane) || __builtin_mul_overflow(plane, z, &all) ||
        all > static_cast<std::size_t>(-1) / sizeof(T) / 2)
      throw std::bad_array_new_length();
    return all;
  }
};

/// Real-space density, cubic N^3 (or N^2 with nz = 1); the origin of the
/// structure lies at voxel N/2 on each axis, as in RELION.
using Map = Grid<float>;

/// Adds `other`, of the same size, voxel by voxel.
inline void add(Map& map, const Map& other) {
  for (std::size_t i = 0; i < map.size(); ++i) map.data[i] += other.data[i];
}

/// Takes `other`, of the same size, away voxel by voxel.
inline void subtract(Map& map, const Map& other) {
  for (std::size_t i = 0; i < map.size(); ++i) map.data[i] -= other.data[i];
}

/// Non-redundant half of the transform of a real N^3 array, FFTW order:
/// nx = N/2 + 1, ny = nz = N; ky index i stands for i if i <= N/2, else i - N.
using HalfTransform = Grid<std::complex<float>>;

/// Signed frequency of FFT index i on an axis of length n: 0 .. n/2, then negative.
inline long signed_frequency(std::size_t i, std::size_t n) {
  return i <= n / 2 ? static_cast<long>(i) : static_cast<long>(i) - static_cast<long>(n);
}

}  // namespace cryored
