// Reading particles: the generations of RELION, optics groups, and every kind of bad input with the row in its message.

#include "core/particles/particle_set.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>

#include "core/base/error.hpp"
#include "phase_testing.hpp"
#include "tests/cli/process.hpp"

namespace {

using namespace cryored;
using namespace cryored_test;

class ParticleSetTest : public testing::Test {
 protected:
  /// The message of the error that reading `path` ends in; empty where it works.
  std::string fault(const std::string& path) {
    try {
      ParticleSet set(path);
    } catch (const InputError& error) {
      return error.what();
    }
    return "";
  }
  void expect_fault(const std::string& path, const std::vector<std::string>& parts) {
    const std::string message = fault(path);
    ASSERT_FALSE(message.empty());
    for (const std::string& part : parts) EXPECT_NE(message.find(part), std::string::npos) << message;
  }
  ScratchFolder folder_{"particles"};
};

TEST_F(ParticleSetTest, OpticsGroupsKeepTheirBoxAndPixelSize) {
  const ParticleSet set(write_particles(folder_.path(), {{{32, 3, 4}, {24, 4, 3}}}));
  ASSERT_EQ(set.groups().size(), 2u);
  EXPECT_EQ(set.groups()[0].rows, (std::vector<std::size_t>{0, 2, 4, 6}));
  EXPECT_EQ(set.groups()[1].rows, (std::vector<std::size_t>{1, 3, 5}));
  EXPECT_EQ(set.groups()[1].box, 24u);
  EXPECT_DOUBLE_EQ(set.groups()[1].pixel_size, 4);
  EXPECT_DOUBLE_EQ(set.ctf(2).defocus_u, 9500);
  std::vector<float> image(24 * 24), reference(24 * 24);
  set.read_image(3, image.data());
  MrcFile(folder_ / "stack_2.mrcs").read_section(1, reference.data());
  EXPECT_EQ(image, reference);
}

TEST_F(ParticleSetTest, Relion30HasItsPixelSizeFromDetectorAndMagnification) {
  TestParticles what{{{32, 3, 4}, {24, 4, 3}}};
  what.relion30 = true;
  const ParticleSet set(write_particles(folder_.path(), what));
  EXPECT_EQ(set.optics(), nullptr);
  ASSERT_EQ(set.groups().size(), 2u);
  EXPECT_NEAR(set.groups()[0].pixel_size, 3, 1e-5);
  EXPECT_NEAR(set.groups()[1].pixel_size, 4, 1e-5);
  EXPECT_DOUBLE_EQ(set.ctf(0).voltage, 300);
}

TEST_F(ParticleSetTest, MissingCtfColumnIsNamed) {
  const std::string path = write_particles(folder_.path());
  drop_column(path, "particles", "rlnDefocusU");
  expect_fault(path, {"in.star", "rlnDefocusU"});
}

TEST_F(ParticleSetTest, MissingPixelSizeIsNamed) {
  const std::string path = write_particles(folder_.path());
  drop_column(path, "optics", "rlnImagePixelSize");
  expect_fault(path, {"in.star", "rlnImagePixelSize"});
}

TEST_F(ParticleSetTest, StackShorterThanTheStarFileSays) {
  const std::string path = write_particles(folder_.path());
  edit_star(path, "particles", 6, "rlnImageName", "000021@" + folder_.path() + "/stack_1.mrcs");
  expect_fault(path, {"row 7", "000021@", "1 to 20"});
}

TEST_F(ParticleSetTest, TruncatedStackNamesTheRow) {
  const std::string path = write_particles(folder_.path());
  std::filesystem::resize_file(folder_ / "stack_1.mrcs", 1024 + 32 * 32 * 4 * 15);
  expect_fault(path, {"row 1", "stack_1.mrcs", "truncated"});
}

TEST_F(ParticleSetTest, MissingStackAndBadNamesNameTheRow) {
  const std::string path = write_particles(folder_.path());
  edit_star(path, "particles", 3, "rlnImageName", "000001@nowhere.mrcs");
  expect_fault(path, {"row 4", "nowhere.mrcs", "project folder"});
  edit_star(path, "particles", 3, "rlnImageName", "000000@" + folder_.path() + "/stack_1.mrcs");
  expect_fault(path, {"row 4", "from 1"});
}

TEST_F(ParticleSetTest, ImageOfAnotherSizeThanItsGroupNamesTheRow) {
  const std::string path = write_particles(folder_.path(), {{{32, 3, 4}, {24, 4, 3}}});
  edit_star(path, "particles", 1, "rlnOpticsGroup", "1");
  expect_fault(path, {"row 2", "24 pixels", "32"});
  edit_star(path, "particles", 1, "rlnOpticsGroup", "7");
  expect_fault(path, {"7"});
}

TEST_F(ParticleSetTest, BadCtfValuesNameTheRow) {
  const std::string path = write_particles(folder_.path());
  edit_star(path, "particles", 4, "rlnDefocusU", "nan");
  expect_fault(path, {"particle 5", "rlnDefocusU"});
  edit_star(path, "particles", 4, "rlnDefocusU", "many");
  expect_fault(path, {"particle 5", "many"});
}

TEST_F(ParticleSetTest, CorrectedImagesAreRefused) {
  const std::string path = write_particles(folder_.path());
  for (const char* label :
       {"rlnCtfDataArePhaseFlipped", "rlnCtfDataAreCtfPremultiplied", "rlnCtfDataAreCtfCorrected"}) {
    edit_star(path, "optics", 0, label, "1");
    expect_fault(path, {"data_optics, row 1", label, "raw images"});
    edit_star(path, "optics", 0, label, "0");
    EXPECT_EQ(fault(path), "");
  }
}

TEST_F(ParticleSetTest, NaNNamesRowAndPixel) {
  const std::string path = write_particles(folder_.path());
  poke(folder_ / "stack_1.mrcs", 5, 3, 9, std::numeric_limits<float>::quiet_NaN());
  const ParticleSet set(path);
  std::vector<float> image(32 * 32);
  set.read_image(4, image.data());
  try {
    set.read_image(5, image.data());
    FAIL();
  } catch (const InputError& error) {
    const std::string message = error.what();
    EXPECT_NE(message.find("row 6"), std::string::npos) << message;
    EXPECT_NE(message.find("(3, 9)"), std::string::npos) << message;
  }
}

TEST_F(ParticleSetTest, BadRowsAreKeptApartWhenAsked) {
  const std::string path = write_particles(folder_.path());
  edit_star(path, "particles", 3, "rlnImageName", "000001@nowhere.mrcs");
  edit_star(path, "particles", 8, "rlnDefocusV", "inf");
  const ParticleSet set(path, true);
  ASSERT_EQ(set.bad().size(), 2u);
  EXPECT_EQ(set.bad()[0].row, 3u);
  EXPECT_EQ(set.bad()[1].row, 8u);
  EXPECT_EQ(set.groups()[0].rows.size(), 18u);
}

TEST_F(ParticleSetTest, VolumesAreNoParticles) {
  const std::string path = write_particles(folder_.path());
  edit_star(path, "particles", 2, "rlnImageName", folder_ / "stack_1.mrcs");
  expect_fault(path, {"row 3", "20 sections", "number@stack"});
  edit_star(path, "particles", 2, "rlnImageName", "000001@" + folder_.path() + "/stack_1.mrcs");
  edit_star(path, "optics", 0, "rlnImageDimensionality", "3");
  expect_fault(path, {"data_optics, row 1", "rlnImageDimensionality", "3", "2"});
}

TEST_F(ParticleSetTest, PixelSizesAndDefociBeyondBelief) {
  const std::string path = write_particles(folder_.path());
  edit_star(path, "optics", 0, "rlnImagePixelSize", "2e-10");
  expect_fault(path, {"data_optics, row 1", "2e-10", "0.01 to 1000 A"});
  edit_star(path, "optics", 0, "rlnImagePixelSize", "3");
  edit_star(path, "particles", 4, "rlnDefocusU", "1e200");
  expect_fault(path, {"row 5", "rlnDefocusU", "1,000,000"});
  edit_star(path, "particles", 4, "rlnDefocusU", "");
  expect_fault(path, {"particle 5", "rlnDefocusU", "a finite number"});
}

TEST_F(ParticleSetTest, AStackThatIsReplacedMeanwhileIsNoticed) {
  const std::string path = write_particles(folder_.path());
  const ParticleSet set(path);
  const std::string stack = folder_ / "stack_1.mrcs";
  std::filesystem::remove(stack);
  write_mrc(stack, Map(64, 64, 20), 3, MrcMode::float32, true);
  std::vector<float> image(64 * 64);
  try {
    set.read_image(0, image.data());
    FAIL();
  } catch (const SystemError& error) {
    const std::string message = error.what();
    for (const char* part : {"row 1", "64 x 64", "32 x 32", "replaced"})
      EXPECT_NE(message.find(part), std::string::npos) << message;
  }
}

TEST_F(ParticleSetTest, WhatTheMachineRefusesIsNoParticlesFault) {
  const std::string path = write_particles(folder_.path());
  // A sparse stack that cannot be mapped within the limit.
  const std::int32_t images = 1 << 24;
  {
    std::fstream stack(folder_ / "stack_1.mrcs", std::ios::in | std::ios::out | std::ios::binary);
    stack.seekp(8);
    stack.write(reinterpret_cast<const char*>(&images), sizeof images);
  }
  std::filesystem::resize_file(folder_ / "stack_1.mrcs", 1024 + (std::uintmax_t{1} << 36));
  rlimit before{};
  getrlimit(RLIMIT_AS, &before);
  const rlimit low{std::min<rlim_t>(before.rlim_cur, rlim_t{1} << 35), before.rlim_max};
  setrlimit(RLIMIT_AS, &low);
  std::vector<float> image(32 * 32);
  EXPECT_THROW(ParticleSet(path, true).read_image(0, image.data()), SystemError);
  setrlimit(RLIMIT_AS, &before);
}

TEST_F(ParticleSetTest, NoParticlesIsAnError) {
  const std::string path = write_particles(folder_.path());
  StarFile star = read_star(path);
  star.require("particles").keep_rows({});
  write_star(path, star);
  expect_fault(path, {"no particles"});
}

}  // namespace
