#pragma once
// Images made by several threads, written in order.

#include <cstddef>
#include <functional>

namespace cryored {

class MrcStackWriter;

/// Writes image `index`, counted from 0, to `image`: box x box values, 16-byte aligned.
using ImageMaker = std::function<void(std::size_t index, float* image)>;

/// Appends `count` images of box x box pixels to `stack`, made by threads() threads, each with a maker of its own.
/// `progress` is called with the number of images made, from one thread at a time. Rethrows what a maker or the stack
/// throws, of several one.
void make_images(MrcStackWriter& stack, std::size_t box, std::size_t count,
                 const std::function<ImageMaker()>& new_maker, const std::function<void(std::size_t)>& progress = {});

}  // namespace cryored
