// Pictures are decoded again with libpng and plots are read back as text, so that
// what is tested is what a reader sees.
#include <gtest/gtest.h>
#include <png.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <regex>

#include "core/base/error.hpp"
#include "core/report/image.hpp"
#include "core/report/page.hpp"
#include "core/report/plot.hpp"

namespace cryored {
namespace {

Map ramp_map(std::size_t nx, std::size_t ny, std::size_t nz) {
  Map map(nx, ny, nz);
  for (std::size_t z = 0; z < nz; ++z)
    for (std::size_t y = 0; y < ny; ++y)
      for (std::size_t x = 0; x < nx; ++x) map(x, y, z) = static_cast<float>(x + 10 * y + 100 * z);
  return map;
}

GreyImage decode_png(const std::string& bytes) {
  png_image png;
  std::memset(&png, 0, sizeof png);
  png.version = PNG_IMAGE_VERSION;
  EXPECT_TRUE(png_image_begin_read_from_memory(&png, bytes.data(), bytes.size())) << png.message;
  png.format = PNG_FORMAT_GRAY;
  GreyImage image{png.width, png.height, {}};
  image.pixels.resize(PNG_IMAGE_SIZE(png));
  EXPECT_TRUE(png_image_finish_read(&png, nullptr, image.pixels.data(), 0, nullptr)) << png.message;
  return image;
}

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t n = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++n;
  return n;
}

TEST(Slices, AxesRunRightAndUp) {
  const Map map = ramp_map(3, 4, 5);
  const GreyWindow window{0, 510};  // grey = value / 2
  const auto grey = [](double value) { return static_cast<int>(std::lround(value / 2)); };
  const GreyImage z = slice_image(map, SliceAxis::z, 2, window);
  ASSERT_EQ(z.width, 3u);
  ASSERT_EQ(z.height, 4u);
  EXPECT_EQ(z.pixels[0], grey(0 + 30 + 200));         // top left: x 0, y 3
  EXPECT_EQ(z.pixels[3 * 3 + 2], grey(2 + 0 + 200));  // bottom right: x 2, y 0
  const GreyImage y = slice_image(map, SliceAxis::y, 1, window);
  ASSERT_EQ(y.width, 3u);
  ASSERT_EQ(y.height, 5u);
  EXPECT_EQ(y.pixels[4 * 3 + 1], grey(1 + 10 + 0));  // bottom: z 0
  const GreyImage x = slice_image(map, SliceAxis::x, 2, window);
  ASSERT_EQ(x.width, 4u);
  ASSERT_EQ(x.height, 5u);
  EXPECT_EQ(x.pixels[1], grey(2 + 10 + 400));  // top: z 4, second column: y 1
  EXPECT_THROW(slice_image(map, SliceAxis::x, 3, window), UsageError);
  EXPECT_THROW(slice_image(map, SliceAxis::x, 0, window, 0), UsageError);
}

TEST(Slices, EnlargementInterpolatesAndClips) {
  Map map(2, 1, 1);
  map.data = {0.0f, 100.0f};
  const GreyImage image = slice_image(map, SliceAxis::z, 0, {0, 100}, 4);
  ASSERT_EQ(image.width, 8u);
  ASSERT_EQ(image.height, 4u);
  // Pixel centres lie at -0.375, -0.125, 0.125 ... voxels.
  const std::vector<int> expected = {0, 0, 32, 96, 159, 223, 255, 255};
  for (std::size_t i = 0; i < 8; ++i) EXPECT_NEAR(image.pixels[i], expected[i], 1) << i;
  map.data = {std::numeric_limits<float>::quiet_NaN(), 1e9f};
  const GreyImage odd = slice_image(map, SliceAxis::z, 0, {0, 100});
  EXPECT_EQ(odd.pixels[0], 0);
  EXPECT_EQ(odd.pixels[1], 255);
}

TEST(Slices, WindowIsSharedAndIgnoresBadVoxels) {
  Map a(10, 10, 1), b(10, 10, 1);
  for (std::size_t i = 0; i < 100; ++i) a.data[i] = static_cast<float>(i), b.data[i] = static_cast<float>(100 + i);
  const GreyWindow both = percentile_window({&a, &b}, 5, 95);
  EXPECT_NEAR(both.black, 10, 1);
  EXPECT_NEAR(both.white, 189, 1);
  a.data[3] = std::numeric_limits<float>::infinity();
  EXPECT_LT(percentile_window({&a}, 0, 100).white, 100);
  b.fill(7.0f);
  const GreyWindow flat = percentile_window({&b}, 1, 99);
  EXPECT_DOUBLE_EQ(flat.black, 6.5);
  EXPECT_DOUBLE_EQ(flat.white, 7.5);
  EXPECT_THROW(percentile_window({&a}, 50, 50), UsageError);
  b.fill(std::numeric_limits<float>::quiet_NaN());
  EXPECT_THROW(percentile_window({&b}, 1, 99), InputError);
}

TEST(Png, DecodesToTheSamePixels) {
  GreyImage image{7, 5, {}};
  for (int i = 0; i < 35; ++i) image.pixels.push_back(static_cast<std::uint8_t>(i * 7));
  const GreyImage back = decode_png(encode_png(image));
  EXPECT_EQ(back.width, 7u);
  EXPECT_EQ(back.height, 5u);
  EXPECT_EQ(back.pixels, image.pixels);
  image.pixels.pop_back();
  EXPECT_THROW(encode_png(image), UsageError);
}

TEST(Base64, Rfc4648Vectors) {
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foo"), "Zm9v");
  EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
  EXPECT_EQ(base64("\xff\xfe\xfd"), "//79");
}

TEST(Ticks, AreRoundAndFew) {
  EXPECT_EQ(round_ticks(0, 1, 6), (std::vector<double>{0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0}));
  EXPECT_EQ(round_ticks(-3, 12, 4), (std::vector<double>{0, 5, 10}));
  EXPECT_LE(round_ticks(0.013, 817, 5).size(), 5u);
  EXPECT_TRUE(round_ticks(1, 1, 5).empty());
  EXPECT_LE(round_ticks(0.3, 0.1 + 0.2, 5).size(), 5u) << "equal but for rounding";
  EXPECT_LE(round_ticks(1e17, 1e17 + 64, 5).size(), 5u) << "1 is no step there";
}

TEST(Plot, ValuesThatAreEqualButForRoundingAreDrawn) {
  EXPECT_LT(line_plot_svg({{"flat", {0, 1, 2}, {0.3, 0.1 + 0.2, 0.3}, {}, -1}}, {}).size(), 10000u);
}

TEST(Plot, PointsLieWhereTheAxesSay) {
  PlotOptions options;
  options.x_label = "resolution (A)";
  options.y_label = "FSC";
  options.resolution_axis = true;
  options.x_max = 0.2;
  options.y_min = 0;
  options.y_max = 1;
  options.thresholds = {{0.5, "0.5"}};
  const std::string svg = line_plot_svg({{"plain & <simple>", {0.0, 0.1, 0.2}, {1.0, 0.5, 0.0}, false, -1}}, options);
  std::smatch path, tick, threshold;
  ASSERT_TRUE(
      std::regex_search(svg, path, std::regex("d=\"M([0-9.]+) ([0-9.]+)L([0-9.]+) ([0-9.]+)L([0-9.]+) ([0-9.]+)\"")));
  const auto number = [](const std::ssub_match& m) { return std::stod(m.str()); };
  EXPECT_NEAR(number(path[3]), (number(path[1]) + number(path[5])) / 2, 0.11);
  // The tick that reads 10 A stands below the point at 0.1 1/A ...
  ASSERT_TRUE(std::regex_search(svg, tick, std::regex("<text x=\"([0-9.]+)\"[^>]*>10</text>")));
  EXPECT_NEAR(number(tick[1]), number(path[3]), 0.11);
  // ... and the threshold line at the height of the point with FSC 0.5.
  ASSERT_TRUE(std::regex_search(svg, threshold, std::regex("class=\"threshold\"[^>]*y1=\"([0-9.]+)\"")));
  EXPECT_NEAR(number(threshold[1]), number(path[4]), 0.11);
  EXPECT_NE(svg.find("plain &amp; &lt;simple&gt;"), std::string::npos);
  EXPECT_EQ(svg.find("<simple>"), std::string::npos);
  EXPECT_NE(svg.find("prefers-color-scheme:dark"), std::string::npos);
}

TEST(Plot, BreaksAtMissingPointsAndNamesEmptySeries) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::string svg =
      line_plot_svg({{"broken", {1, 2, 3, 4, 5}, {1, 2, nan, 2, 1}, true, 2}, {"none", {}, {}, false, -1}}, {});
  std::smatch path;
  ASSERT_TRUE(std::regex_search(svg, path, std::regex("class=\"s2\" d=\"([^\"]+)\"")));
  EXPECT_EQ(count(path[1], "M"), 2u);
  EXPECT_EQ(count(svg, "<circle"), 4u);
  EXPECT_NE(svg.find("none (no data)"), std::string::npos);
  EXPECT_EQ(svg.find("nan"), std::string::npos);
}

TEST(Plot, CountsHaveWholeTicks) {
  PlotOptions options;
  options.whole_x = true;
  const std::string svg = line_plot_svg({{"a", {1, 2, 3}, {70, 80, 90}, false, -1}}, options);
  for (const char* label : {">1</text>", ">2</text>", ">3</text>"}) EXPECT_EQ(count(svg, label), 1u) << label;
  EXPECT_EQ(count(svg, ">1.5</text>"), 0u);
}

TEST(Plot, RefusesWhatItCannotDraw) {
  EXPECT_THROW(line_plot_svg({{"a", {1, 2}, {1}, false, -1}}, {}), UsageError);
  PlotOptions tiny;
  tiny.width = 90;
  EXPECT_THROW(line_plot_svg({}, tiny), UsageError);
  EXPECT_NE(line_plot_svg({{"a", {2, 2}, {3, 3}, false, -1}}, {}).find("<path"), std::string::npos);  // constant data
}

TEST(Page, IsSelfContainedAndEscapes) {
  ReportPage page("A <b> & c", "lead");
  page.heading("Maps");
  ReportTable table;
  table.columns = {"map", "resolution"};
  table.rows = {{"plain", "8.9"}};
  page.table(table);
  page.image_grid({"slices", {"x"}, {{"truth", "", {GreyImage{1, 1, {9}}}}}});
  page.figure(line_plot_svg({{"a", {1, 2}, {1, 2}, false, -1}}, {}), "a plot");
  const std::string html = page.html();
  EXPECT_EQ(html.rfind("<!DOCTYPE html>", 0), 0u);
  EXPECT_NE(html.find("<title>A &lt;b&gt; &amp; c</title>"), std::string::npos);
  EXPECT_NE(html.find("<td class=\"n\">8.9</td>"), std::string::npos);
  EXPECT_NE(html.find("src=\"data:image/png;base64,iVBOR"), std::string::npos);
  EXPECT_EQ(html.find("<script"), std::string::npos);
  EXPECT_EQ(count(html, "http"), count(html, "http://www.w3.org/2000/svg"));  // nothing is loaded from outside
  EXPECT_EQ(count(html, "<figure>"), count(html, "</figure>"));
  table.rows.push_back({"short"});
  EXPECT_THROW(page.table(table), UsageError);
}

}  // namespace
}  // namespace cryored
