#include "simulation/image_stack.hpp"

#include <gtest/gtest.h>

#include <filesystem>

#include "core/base/error.hpp"
#include "core/base/temporary_folder.hpp"
#include "core/formats/mrc.hpp"
#include "core/fourier/fft.hpp"

namespace cryored {
namespace {

class ImageStack : public ::testing::Test {
 protected:
  void TearDown() override { set_threads(threads_before_); }

  TemporaryFolder scratch_;
  std::string path_ = (scratch_.path() / "images.mrcs").string();
  int threads_before_ = threads();
};

TEST_F(ImageStack, EveryImageIsInItsPlaceWhateverTheNumberOfThreads) {
  constexpr std::size_t kBox = 4, kCount = 1300;  // two whole blocks and a part of one
  for (const int n : {1, 2, 5}) {
    set_threads(n);
    std::vector<std::size_t> reported;
    MrcStackWriter stack(path_, kBox, kBox, kCount, 1.5);
    make_images(
        stack, kBox, kCount,
        [] { return [](std::size_t i, float* image) { std::fill_n(image, kBox * kBox, static_cast<float>(i)); }; },
        [&](std::size_t made) { reported.push_back(made); });
    stack.close();
    const Map images = read_mrc(path_);
    ASSERT_EQ(images.nz, kCount);
    for (std::size_t i = 0; i < images.size(); ++i)
      ASSERT_EQ(images.data[i], static_cast<float>(i / (kBox * kBox))) << n << " threads";
    EXPECT_EQ(reported, (std::vector<std::size_t>{512, 1024, 1300}));
  }
}

TEST_F(ImageStack, WhatAMakerThrowsArrivesAndLeavesNoFile) {
  for (const int n : {1, 3}) {
    set_threads(n);
    const auto fails_at = [&](std::size_t bad) {
      MrcStackWriter stack(path_, 2, 2, 600, 1);
      make_images(stack, 2, 600, [bad] {
        return [bad](std::size_t i, float* image) {
          if (i == bad) throw UsageError(Problem{"image", "row", std::to_string(i), "another", "change it"});
          std::fill_n(image, 4, 0.f);
        };
      });
      stack.close();
    };
    EXPECT_THROW(fails_at(0), UsageError);
    EXPECT_THROW(fails_at(599), UsageError);
    EXPECT_FALSE(std::filesystem::exists(path_));
    MrcStackWriter stack(path_, 2, 2, 600, 1);
    EXPECT_THROW(make_images(stack, 2, 600,
                             []() -> ImageMaker {
                               throw UsageError(Problem{"imager", "", "", "", ""});
                             }),
                 UsageError);
  }
}

}  // namespace
}  // namespace cryored
