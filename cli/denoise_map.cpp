#include "cli/denoise_map.hpp"

namespace cryored {

Map denoise_map(Denoiser& denoiser, const Map& map, double pixel_size, ResampleBoxes& boxes) {
  if (denoiser.voxel_size() <= 0) {  // any will do
    boxes = {map.nx, map.nx, pixel_size};
    return denoiser.denoise(map);
  }
  boxes = resample_boxes(map.nx, pixel_size, denoiser.voxel_size());
  const Map input = fourier_resize(window(map, boxes.padded, edge_mean(map)), boxes.resampled);
  Map change = denoiser.denoise(input);
  subtract(change, input);
  Map out = window(fourier_resize(change, boxes.padded), map.nx);
  add(out, map);
  return out;
}

}  // namespace cryored
