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
  for (std::size_t begin = 0; begin < count; begin += kBlock) {
    const std::size_t here = std::min(kBlock, count - begin);
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
#pragma omp for schedule(dynamic, 8)
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
