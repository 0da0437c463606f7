#include "simulation/image_stack.hpp"

#include <algorithm>
#include <exception>

#include "core/formats/mrc.hpp"
#include "core/fourier/fft.hpp"
#include "core/fourier/grid.hpp"

namespace cryored {

void make_images(MrcStackWriter& stack, std::size_t box, std::size_t count,
                 const std::function<ImageMaker()>& new_maker, const std::function<void(std::size_t)>& progress) {
  constexpr std::size_t kBlock = 512;
  const std::size_t area = box * box;
  Grid<float> blocks[2];
  for (Grid<float>& block : blocks) block = Grid<float>(box, box, std::min(kBlock, count));
  std::size_t unwritten = 0;  // images of the block before this one
  for (std::size_t begin = 0, number = 0; begin < count || unwritten > 0; begin += kBlock, ++number) {
    const std::size_t here = begin < count ? std::min(kBlock, count - begin) : 0;
    float *block = blocks[number % 2].data.data(), *before = blocks[(number + 1) % 2].data.data();
    std::exception_ptr fault;
    const auto guarded = [&](const auto& work) {
      try {
        work();
      } catch (...) {
#pragma omp critical
        if (!fault) fault = std::current_exception();
      }
    };
#pragma omp parallel num_threads(threads())
    {
      // One thread writes what was made last, while the others go on.
#pragma omp single nowait
      guarded([&] {
        for (std::size_t i = 0; i < unwritten; ++i) stack.append(before + i * area);
      });
      ImageMaker make;
      guarded([&] { make = new_maker(); });
#pragma omp for schedule(dynamic, 8)
      for (std::size_t i = 0; i < here; ++i) guarded([&] { make(begin + i, block + i * area); });
    }
    if (fault) std::rethrow_exception(fault);
    unwritten = here;
    if (progress && here > 0) progress(begin + here);
  }
}

}  // namespace cryored
