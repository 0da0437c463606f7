#pragma once
// Small particle sets for the tests: blobs seen through a CTF, with noise, normalised as RELION does.

#include <string>
#include <vector>

#include "core/formats/mrc.hpp"
#include "core/formats/star.hpp"
#include "core/imaging/ctf.hpp"

namespace cryored_test {

struct TestGroup {
  std::size_t box = 32;
  double pixel_size = 3;
  int count = 20;
};

struct TestParticles {
  std::vector<TestGroup> groups = {{}};
  bool relion30 = false;  ///< one block without optics groups
  double noise = 0.5;     ///< SD, the blob's height being 1
};

/// Writes FOLDER/stack_N.mrcs and FOLDER/in.star (absolute names in it) and returns the STAR file's path. Rows of the
/// groups alternate.
std::string write_particles(const std::string& folder, const TestParticles& what = {});

/// The blob of particle `i`, box x box, without CTF and noise.
cryored::Map true_image(const TestGroup& group, int i);

/// Replaces one cell of a STAR file's block.
void edit_star(const std::string& path, const std::string& block, std::size_t row, const std::string& label,
               const std::string& value);
/// Takes a column out of a block.
void drop_column(const std::string& path, const std::string& block, const std::string& label);

/// Sets one pixel of a float32 stack in place.
void poke(const std::string& stack, std::size_t section, std::size_t x, std::size_t y, float value);

/// Ctf::value() over the half transform of a box x box image.
std::vector<float> ctf_values(const cryored::Ctf& ctf, std::size_t box, double pixel_size);

/// Correlation coefficient of two arrays.
double correlation(const float* a, const float* b, std::size_t count);

}  // namespace cryored_test
