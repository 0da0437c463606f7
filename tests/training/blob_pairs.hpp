#pragma once
// Shards for tests of the trainer, made in no time.

#include <cmath>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "core/fourier/shells.hpp"
#include "simulation/structures.hpp"
#include "training/pairs.hpp"

namespace cryored::test {

/// Blobs and white noise, both cut at shell 8 of box 24: enough to learn from, made in no time.
inline std::vector<TrainingPair> blobs(unsigned seed) {
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal;
  std::vector<TrainingPair> pairs(4);
  for (auto& pair : pairs) {
    Map truth(16, 16, 16), noisy;
    truth.fill(0);
    for (int blob = 0; blob < 12; ++blob) {
      const float cx = 8 + 2 * normal(rng), cy = 8 + 2 * normal(rng), cz = 8 + 2 * normal(rng);
      for (int z = 0; z < 16; ++z)
        for (int y = 0; y < 16; ++y)
          for (int x = 0; x < 16; ++x) {
            const float dx = static_cast<float>(x) - cx, dy = static_cast<float>(y) - cy,
                        dz = static_cast<float>(z) - cz;
            truth(static_cast<std::size_t>(x), static_cast<std::size_t>(y), static_cast<std::size_t>(z)) +=
                std::exp(-(dx * dx + dy * dy + dz * dz) / 2);
          }
    }
    noisy = truth;
    for (auto& v : noisy.data) v += 0.2f * normal(rng);
    pair.input = fourier_resize(noisy, 24);
    pair.target = fourier_resize(truth, 24);
    pair.voxel = 2.5;
    pair.cut = 8;
    pair.nominal_resolution = 8;
    pair.half_fsc.assign(13, 0.5f);
  }
  return pairs;
}

/// Three structures for training and one for validation, by names on either side of the split.
inline void write_blob_shards(const std::string& folder) {
  int training = 0, validation = 0;
  for (int i = 0; training < 3 || validation < 1; ++i) {
    const std::string id = "T" + std::to_string(i);
    int& count = is_validation(id) ? validation : training;
    if (count >= (is_validation(id) ? 1 : 3)) continue;
    ++count;
    write_pairs((std::filesystem::path(folder) / (id + ".pairs")).string(), blobs(static_cast<unsigned>(i)), id);
  }
}

/// Shards of box 32 in the folder `large` for the structures that have one of box 24 in `folder`.
inline void write_large_shards(const std::string& folder, const std::string& large) {
  std::vector<std::string> ids;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    ids.push_back(structure_id(entry.path().string()));
  std::filesystem::create_directories(large);
  for (const auto& id : ids) {
    auto pairs = blobs(3);
    for (auto& pair : pairs) {
      pair.input = fourier_resize(pair.input, 32);
      pair.target = fourier_resize(pair.target, 32);
      pair.half_fsc.assign(17, 0.5f);
    }
    write_pairs((std::filesystem::path(large) / (id + ".pairs")).string(), pairs, id);
  }
}

}  // namespace cryored::test
