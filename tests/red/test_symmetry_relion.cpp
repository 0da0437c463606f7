// Orientation and hand of the groups: RELION's own programs symmetrise the same maps.

#include <gtest/gtest.h>

#include "core/formats/mrc.hpp"
#include "core/reconstruct/symmetry.hpp"
#include "tests/red/maps.hpp"
#include "tests/red/relion.hpp"

namespace cryored {
namespace {

TEST(SymmetriseRelion, SameAxesAsRelionImageHandler) {
  REQUIRE_PROGRAM("relion_image_handler");
  const TemporaryFolder folder;
  const Map map = blobs(40, 2.5, 5);
  write_mrc(folder / "in.mrc", map, 2.0);
  for (const char* name : {"C3", "C5", "D3", "T", "O", "I1", "I2", "I3", "I4"}) {
    ASSERT_EQ(run_program("relion_image_handler --i " + (folder / "in.mrc") + " --o " + (folder / "out.mrc") +
                          " --sym " + name),
              0)
        << name;
    const Map expected = read_mrc(folder / "out.mrc");
    // RELION interpolates linearly: a tenth of the difference that another setting of the axes makes.
    EXPECT_LT(relative_difference(symmetrise(map, parse_symmetry(name), 2), expected, 14), 0.05) << name;
  }
}

TEST(SymmetriseRelion, SameHandAsRelionHelixToolbox) {
  REQUIRE_PROGRAM("relion_helix_toolbox");
  const TemporaryFolder folder;
  const Map map = blobs(64, 3, 6);
  write_mrc(folder / "in.mrc", map, 2.0);
  ASSERT_EQ(run_program("cd '" + folder.path().string() + "' && relion_helix_toolbox --impose --i " +
                        (folder / "in.mrc") + " --o " + (folder / "out.mrc") +
                        " --cyl_outer_diameter 110 --angpix 2 --rise 6 --twist 25 --z_percentage 0.2"),
            0);
  // An imposed helix keeps its own step, and only its own.
  const Map imposed = read_mrc(folder / "out.mrc");
  EXPECT_LT(relative_difference(symmetrise(imposed, parse_symmetry("C1,twist=25,rise=6"), 2), imposed, 18), 0.05);
  EXPECT_GT(relative_difference(symmetrise(imposed, parse_symmetry("C1,twist=-25,rise=6"), 2), imposed, 18), 0.2);
}

}  // namespace
}  // namespace cryored
