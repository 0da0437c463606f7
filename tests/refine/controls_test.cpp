#include "benchmarks/refine/controls.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "core/formats/mrc.hpp"
#include "core/fourier/fft.hpp"

namespace cryored {
namespace {

TEST(Controls, TheMirrorKeepsTheCentreAndIsItsOwnInverse) {
  Map map(6, 6, 6);
  for (std::size_t i = 0; i < map.size(); ++i) map.data[i] = static_cast<float>(i);
  const Map other = mirrored(map);
  for (std::size_t y = 0; y < 6; ++y)
    for (std::size_t x = 0; x < 6; ++x) {
      EXPECT_EQ(other(x, y, 3), map(x, y, 3));
      EXPECT_EQ(other(x, y, 4), map(x, y, 2));
    }
  EXPECT_NE(other.data, map.data);
  EXPECT_EQ(mirrored(other).data, map.data);
}

TEST(Controls, NoiseTakesThePlaceOfEveryImage) {
  std::string folder = (std::filesystem::temp_directory_path() / "cryored-XXXXXX").string();
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  const std::string stack = folder + "/particles.mrcs";
  {
    MrcStackWriter out(stack, 16, 16, 40, 2.5);
    const Map image = [] {
      Map m(16, 16, 1);
      m.fill(100);
      return m;
    }();
    for (int i = 0; i < 40; ++i) out.append(image.data.data());
    out.close();
  }
  replace_by_noise(stack, 2.5, 3);
  MrcHeader header;
  const Map images = read_mrc(stack, &header);
  EXPECT_EQ(header.nz, 40u);
  EXPECT_NEAR(header.pixel_size, 2.5, 1e-6);
  double sum = 0, squares = 0;
  for (float v : images.data) {
    sum += v;
    squares += static_cast<double>(v) * v;
  }
  const auto n = static_cast<double>(images.size());  // 10,240 values: 1 % and 1.4 % standard error
  EXPECT_NEAR(sum / n, 0, 0.05);
  EXPECT_NEAR(squares / n, 1, 0.07);
  EXPECT_EQ(start_map("", {}, "x"), "x/initial.mrc");
  EXPECT_EQ(start_map_suffix("a/1A2K.pdb.gz"), "_from_1A2K");
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace cryored
