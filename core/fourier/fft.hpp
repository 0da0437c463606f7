#pragma once
// Real-to-complex transforms on the CPU (FFTW, single precision). Thread-safe:
// plans are cached per size behind a mutex. Forward carries 1/N^dim, inverse none,
// so that inverse(forward(x)) == x, and the zero term is the mean.

#include "core/fourier/grid.hpp"

namespace cryored {

/// Number of threads FFTW and our own loops use; 0 takes OMP_NUM_THREADS, else the size
/// of the affinity mask. Call once at program start.
void set_threads(int count);
int threads();

/// Another number for what the calling thread computes, as long as this lives: for programs that compute
/// several things at once.
class ThreadsHere {
 public:
  explicit ThreadsHere(int count);
  ~ThreadsHere();
  ThreadsHere(const ThreadsHere&) = delete;
  ThreadsHere& operator=(const ThreadsHere&) = delete;

 private:
  int before_;
};

/// Transform of a real map of any size (2D when nz == 1), scaled by 1/(nx ny nz).
HalfTransform forward(const Map& map);

/// forward() of a cube of `size` voxels, zero but for the map, whose voxel N/2 lies at voxel size/2 along each axis.
/// The large cube is not made, and planes of zeros are not transformed. Throws Error for a map that does not fit.
HalfTransform forward_padded(const Map& map, std::size_t size);

/// Inverse of forward(); `nx` is the x length of the real map (even or odd).
Map inverse(const HalfTransform& transform, std::size_t nx);
/// Same, using the transform as scratch (it comes back empty): saves a copy of a padded transform.
Map inverse(HalfTransform&& transform, std::size_t nx);

/// Multiplies by (-1)^(x+y+z) in Fourier space: moves the origin from voxel 0 to
/// N/2 or back (even N only).
void centre(HalfTransform& transform);

}  // namespace cryored
