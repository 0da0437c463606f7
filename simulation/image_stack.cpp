#include "simulation/image_stack.hpp"

#include <algorithm>
#include <exception>

#include "core/formats/mrc.hpp"
#include "core/fourier/fft.hpp"
#include "core/fourier/grid.hpp"

namespace cryored {

void make_images(MrcStackWriter& stack, std::size_t box, std::size_t count,
                 const std::function<ImageMaker()>& new_maker, const std::function<void(std::size_t)>& progress) {
  // Blocks of large images are no longer than what the stack takes without waiting for the disk.
  constexpr std::size_t kBlock = 512, kBlockBytes = std::size_t{32} << 20;
  const std::size_t least = std::min(kBlock, 16 * static_cast<std::size_t>(threads()));
  const std::size_t step = std::clamp(kBlockBytes / (box * box * sizeof(float)), least, kBlock);
  for (std::size_t begin = 0; begin < count; begin += step) {
    const std::size_t here = std::min(step, count - begin);
    stack.open_block(here);
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
      ImageMaker make;
      Map image;
      guarded([&] {
        make = new_maker();
        image = Map(box, box, 1);
      });
#pragma omp for schedule(dynamic)
      for (std::size_t i = 0; i < here; ++i)
        guarded([&] {
          make(begin + i, image.data.data());
          stack.put(i, image.data.data());
        });
    }
    if (fault) std::rethrow_exception(fault);
    if (progress) progress(begin + here);
  }
}

}  // namespace cryored
