#include "evaluation/controls.hpp"

#include <gtest/gtest.h>

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

TEST(Controls, StartMapsHaveNames) {
  EXPECT_EQ(start_map("", {}, "x"), "x/initial.mrc");
  EXPECT_EQ(start_map_suffix("a/1A2K.pdb.gz"), "_from_1A2K");
  EXPECT_EQ(start_map_suffix("mirrored"), "_mirrored");
}

}  // namespace
}  // namespace cryored
