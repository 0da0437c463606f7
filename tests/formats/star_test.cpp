// STAR: what RELION writes is read, changed and written without loss.

#include "core/formats/star.hpp"

#include <chrono>
#include <cmath>
#include <gemmi/cif.hpp>

#include "formats_testing.hpp"

namespace cryored::testing {
namespace {

using Strings = std::vector<std::string>;

/// Labels, structure and cells; layout and comments left out.
void expect_same_content(const StarFile& a, const StarFile& b) {
  ASSERT_EQ(a.tables.size(), b.tables.size());
  for (std::size_t t = 0; t < a.tables.size(); ++t) {
    const StarTable &x = a.tables[t], &y = b.tables[t];
    EXPECT_EQ(x.name, y.name);
    EXPECT_EQ(x.is_loop, y.is_loop);
    EXPECT_EQ(x.comment, y.comment);
    ASSERT_EQ(x.labels, y.labels);
    ASSERT_EQ(x.rows(), y.rows());
    for (std::size_t r = 0; r < x.rows(); ++r)
      for (std::size_t c = 0; c < x.labels.size(); ++c) ASSERT_EQ(x.text(r, c), y.text(r, c));
  }
}

class StarFixture : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Relion, StarFixture,
                         ::testing::Values("relion30_particles.star", "relion31_particles.star",
                                           "relion50_particles.star", "refine3d/run_it003_optimiser.star",
                                           "refine3d/run_it003_half1_model.star", "refine3d/run_it003_sampling.star",
                                           "refine3d/run_it003_data.star", "class3d_it002_model.star",
                                           "helix/run_it000_model.star",
                                           "refine3d/run_it003_half1_class001_external_reconstruct.star",
                                           "class2d_it002_class002_external_reconstruct.star"));

TEST_P(StarFixture, RoundTripLosesNothing) {
  const TempFolder folder;
  const StarFile first = read_star(fixture(GetParam()));
  write_star(folder / "copy.star", first);
  const StarFile second = read_star(folder / "copy.star");
  expect_same_content(first, second);
  // Also token by token of the bytes, comments included: the parser cannot hide a loss.
  const auto tokens = [](const std::string& text) {
    Strings all;
    std::istringstream in(text);
    for (std::string word; in >> word;) all.push_back(word);
    return all;
  };
  EXPECT_EQ(tokens(read_bytes(fixture(GetParam()))), tokens(read_bytes(folder / "copy.star")));
  EXPECT_EQ(format_star(second), read_bytes(folder / "copy.star"));
}

TEST_P(StarFixture, GemmiReadsTheSame) {
  const StarFile ours = read_star(fixture(GetParam()));
  const gemmi::cif::Document theirs = gemmi::cif::read_file(fixture(GetParam()));
  ASSERT_EQ(ours.tables.size(), theirs.blocks.size());
  for (std::size_t t = 0; t < ours.tables.size(); ++t) {
    const StarTable& table = ours.tables[t];
    // gemmi has names of its own for a block without one: "#" or " ", by version.
    if (!table.name.empty()) {
      EXPECT_EQ(table.name, theirs.blocks[t].name);
    }
    ASSERT_EQ(theirs.blocks[t].items.size(), table.is_loop ? 1u : table.labels.size());
    for (std::size_t c = 0; c < table.labels.size(); ++c)
      for (std::size_t r = 0; r < table.rows(); ++r) {
        const gemmi::cif::Item& item = theirs.blocks[t].items[table.is_loop ? 0 : c];
        const std::string& raw = table.is_loop ? item.loop.val(r, c) : item.pair[1];
        EXPECT_EQ("_" + table.labels[c], table.is_loop ? item.loop.tags[c] : item.pair[0]);
        EXPECT_EQ(std::string(table.text(r, c)), gemmi::cif::as_string(raw));
      }
  }
}

TEST(Star, Relion31Optics) {
  const StarFile star = read_star(fixture("relion31_particles.star"));
  const StarTable& optics = star.require("optics");
  EXPECT_TRUE(optics.is_loop);
  EXPECT_EQ(optics.comment, "# version 30001");
  EXPECT_EQ(optics.text(0, "rlnOpticsGroupName"), "optics1");
  EXPECT_DOUBLE_EQ(optics.number(0, "rlnImagePixelSize"), 3.5);
  EXPECT_EQ(optics.integer(0, "rlnImageSize"), 32);
  const StarTable& particles = star.require("particles");
  EXPECT_EQ(particles.labels.size(), 7u);
  EXPECT_EQ(particles.text(0, "rlnImageName"), "000001@part.mrcs");
}

TEST(Star, WhatRelionRepeatsIsKept) {
  const TempFolder folder;
  const std::string text = "data_\n\n_rlnA 1\n\ndata_\n\nloop_\n_mine\n_rlnB\n_mine\n1 2 3\n";
  std::ofstream(folder / "in.star") << text;
  const StarFile star = read_star(folder / "in.star");
  ASSERT_EQ(star.tables.size(), 2u);
  EXPECT_EQ(star.tables[0].text(0, "rlnA"), "1");
  EXPECT_EQ(star.tables[1].text(0, "mine"), "1");
  EXPECT_EQ(star.tables[1].text(0, std::size_t{2}), "3");
  write_star(folder / "out.star", star);
  const StarFile back = read_star(folder / "out.star");
  ASSERT_EQ(back.tables.size(), 2u);
  EXPECT_EQ(back.tables[1].labels, star.tables[1].labels);
}

TEST(Star, Relion30HasOneBlockWithoutName) {
  const StarFile star = read_star(fixture("relion30_particles.star"));
  ASSERT_EQ(star.tables.size(), 1u);
  EXPECT_EQ(star.tables[0].name, "");
  EXPECT_EQ(star.require("").rows(), 3u);
  EXPECT_DOUBLE_EQ(star.tables[0].number(2, "rlnAnglePsi"), -1.2345678e-05);
  EXPECT_EQ(format_star(star).find("version"), std::string::npos) << "3.0 files must stay 3.0 files";
}

TEST(Star, Relion50QuotedAndEmptyValues) {
  const StarFile star = read_star(fixture("relion50_particles.star"));
  const StarTable& optics = star.require("optics");
  EXPECT_EQ(optics.comment, "# version 50001");
  EXPECT_EQ(optics.text(0, "rlnOpticsGroupName"), "Krios 1, K3");
  EXPECT_EQ(optics.text(0, "rlnMtfFileName"), "mtf files/k3-300kV.star");
  EXPECT_EQ(optics.text(1, "rlnMtfFileName"), "");
  EXPECT_DOUBLE_EQ(star.require("particles").number(0, "rlnOriginYAngst"), 3.552713678800501e-15);
}

TEST(Star, OptimiserIsAListWithCommandLine) {
  const StarFile star = read_star(fixture("refine3d/run_it003_optimiser.star"));
  const StarTable& general = star.require("optimiser_general");
  EXPECT_FALSE(general.is_loop);
  EXPECT_EQ(general.rows(), 1u);
  EXPECT_EQ(general.labels.size(), 85u);
  EXPECT_EQ(general.integer(0, "rlnCurrentIteration"), 3);
  EXPECT_EQ(general.text(0, "rlnBodyStarFile"), "None");
  EXPECT_EQ(general.comment.substr(0, 36), "# RELION optimiser; version 3.1.3\n# ");
}

TEST(Star, CellsOfAllKinds) {
  const StarFile star = parse_star(
      "# head\n\ndata_a # trailing\n_x 1 # note\n_empty\n_quoted 'it''s' \n_multi\n;first\n "
      "second;\n;\n_on_next_line\n 7\n"
      "\nDATA_b\nLOOP_\n_c #1\n_d # 2 words\n1 \"two words\"\n'x y' O5'\n# comment within\n\n5'-end a#b\n[v] $w\n",
      "t.star");
  ASSERT_EQ(star.tables.size(), 2u);
  const StarTable& a = star.tables[0];
  EXPECT_EQ(a.comment, "# head");
  EXPECT_EQ(a.labels, (Strings{"x", "empty", "quoted", "multi", "on_next_line"}));
  EXPECT_EQ(a.text(0, "x"), "1");
  EXPECT_EQ(a.text(0, "empty"), "");
  EXPECT_EQ(a.text(0, "quoted"), "it''s");
  EXPECT_EQ(a.text(0, "multi"), "first\n second;");
  EXPECT_EQ(a.integer(0, "on_next_line"), 7);
  const StarTable& b = star.tables[1];
  EXPECT_EQ(b.name, "b");
  ASSERT_EQ(b.rows(), 4u);
  EXPECT_EQ(b.text(0, "d"), "two words");
  EXPECT_EQ(b.text(1, "c"), "x y");
  EXPECT_EQ(b.text(1, "d"), "O5'");
  EXPECT_EQ(b.text(2, "c"), "5'-end");
  EXPECT_EQ(b.text(2, "d"), "a#b");
  EXPECT_EQ(b.text(3, "c"), "[v]");
  expect_same_content(star, parse_star(format_star(star), "again"));
}

TEST(Star, CarriageReturnsAndMissingLastNewline) {
  const StarFile star = parse_star(
      "\xEF\xBB\xBF"
      "data_x\r\n\r\nloop_\r\n_a #1\r\n_b #2\r\n1 'u v'\r\n2 w",
      "t.star");
  EXPECT_EQ(star.tables[0].name, "x");
  EXPECT_EQ(star.tables[0].labels, (Strings{"a", "b"}));
  EXPECT_EQ(star.tables[0].text(0, "b"), "u v");
  EXPECT_EQ(star.tables[0].text(1, "b"), "w");
}

TEST(Star, RowsMaySpanLines) {
  const StarFile star = parse_star("data_\nloop_\n_a\n_b\n_c\n1 2\n3\n4 5\n;text\n;\n7 8 9 10 11 12\n", "t.star");
  ASSERT_EQ(star.tables[0].rows(), 4u);
  EXPECT_EQ(star.tables[0].text(1, "c"), "text");
  EXPECT_EQ(star.tables[0].integer(3, "c"), 12);
}

TEST(Star, EmptyTablesAndBlocks) {
  const StarFile star = parse_star("data_none\n\ndata_labels\nloop_\n_a\n_b\n\ndata_last\n_x 1\n", "t.star");
  ASSERT_EQ(star.tables.size(), 3u);
  EXPECT_EQ(star.tables[0].rows(), 0u);
  EXPECT_EQ(star.tables[1].rows(), 0u);
  EXPECT_EQ(star.tables[1].labels.size(), 2u);
  expect_same_content(star, parse_star(format_star(star), "again"));
}

TEST(Star, SecondLoopOfABlock) {
  const StarFile star = parse_star("data_x\n_a 1\nloop_\n_b\n1\n2\nloop_\n_c\n3\n", "t.star");
  ASSERT_EQ(star.tables.size(), 3u);
  EXPECT_TRUE(star.tables[1].same_block);
  const std::string text = format_star(star);
  EXPECT_EQ(text.find("data_"), text.rfind("data_"));
  expect_same_content(star, parse_star(text, "again"));
}

TEST(Star, PathsThatLookLikeStructure) {
  const StarFile star = parse_star("data_p\nloop_\n_name\n_n\ndata_1/a.mrc 5\nloop_me 6\n", "t.star");
  ASSERT_EQ(star.tables.size(), 1u);
  EXPECT_EQ(star.tables[0].text(0, "name"), "data_1/a.mrc");
  EXPECT_EQ(star.tables[0].text(1, "name"), "loop_me");
  expect_same_content(star, parse_star(format_star(star), "again"));
}

TEST(Star, EveryValueSurvivesWriting) {
  StarFile star;
  StarTable table;
  table.name = "v";
  table.labels = {"a", "b"};
  const Strings values = {"",
                          "plain",
                          "two words",
                          "it's",
                          "'quoted'",
                          "\"",
                          "a\" 'b' c\" d' e",
                          "#hash",
                          "_label",
                          "data_x",
                          "loop_",
                          ";semi",
                          "$HOME/x",
                          "[list]",
                          "tab\tx",
                          "line\nbreak",
                          "\n",
                          "x\r",
                          "y\n\r",
                          "5' \"x\" y",
                          "global_",
                          "STOP_",
                          "\xC3\x85ngstr\xC3\xB6m",
                          " lead",
                          "trail ",
                          "'",
                          "\"\"",
                          "a\n b\n"};
  for (const std::string& v : values) table.add_row({v, v});
  star.tables.push_back(table);
  StarTable list;
  list.name = "l";
  list.is_loop = false;
  for (std::size_t i = 0; i < values.size(); ++i) list.add_column("v" + std::to_string(i), values[i]);
  star.tables.push_back(list);
  const StarFile back = parse_star(format_star(star), "t.star");
  ASSERT_EQ(back.tables.size(), 2u);
  ASSERT_EQ(back.tables[0].rows(), values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    EXPECT_EQ(back.tables[0].text(i, "a"), values[i]);
    EXPECT_EQ(back.tables[0].text(i, "b"), values[i]);
    EXPECT_EQ(back.tables[1].text(0, i), values[i]);
  }
}

TEST(Star, Changes) {
  StarFile star = read_star(fixture("relion31_particles.star"));
  StarTable& particles = star.require("particles");
  const std::size_t rows = particles.rows();
  const std::string psi(particles.text(3, "rlnAnglePsi"));
  particles.add_column("rlnNote", "a b");
  particles.set(3, "rlnNote", "changed");
  particles.remove_column("rlnAngleRot");
  particles.remove_column("rlnAbsent");
  Strings row(particles.labels.size(), "9");
  particles.add_row(row);
  StarFile back = parse_star(format_star(star), "t.star");
  const StarTable& after = back.require("particles");
  EXPECT_EQ(after.rows(), rows + 1);
  EXPECT_FALSE(after.has("rlnAngleRot"));
  EXPECT_EQ(after.text(3, "rlnAnglePsi"), psi);
  EXPECT_EQ(after.text(3, "rlnNote"), "changed");
  EXPECT_EQ(after.text(4, "rlnNote"), "a b");
  EXPECT_EQ(after.integer(rows, "rlnOpticsGroup"), 9);
  StarTable copy = after;  // outlives its file and shares nothing that changes
  back = StarFile();
  copy.keep_rows({rows, 3, 3});
  ASSERT_EQ(copy.rows(), 3u);
  EXPECT_EQ(copy.text(2, "rlnAnglePsi"), psi);
  EXPECT_THROW(copy.keep_rows({3}), InputError);
}

TEST(Star, Numbers) {
  const StarFile star = parse_star(
      "data_n\n_a 1e-3\n_b +2.5\n_c -7\n_d 3.000000\n_e nan\n_f inf\n_g 1e-400\n_h 1e400\n_i 0x10\n_j 1.5\n_k 12abc\n",
      "n.star");
  const StarTable& t = star.tables[0];
  EXPECT_DOUBLE_EQ(t.number(0, "a"), 1e-3);
  EXPECT_DOUBLE_EQ(t.number(0, "b"), 2.5);
  EXPECT_EQ(t.integer(0, "c"), -7);
  EXPECT_EQ(t.integer(0, "d"), 3);
  EXPECT_TRUE(std::isnan(t.number(0, "e")));
  EXPECT_TRUE(std::isinf(t.number(0, "f")));
  EXPECT_EQ(t.number(0, "g"), 0);
  EXPECT_TRUE(std::isinf(t.number(0, "h")));
  expect_parts(message_of<InputError>([&] { t.number(0, "i"); }), {"n.star:10", "_i", "'0x10'", "a number"});
  expect_parts(message_of<InputError>([&] { t.integer(0, "j"); }), {"n.star:11", "_j", "'1.5'", "a whole number"});
  expect_parts(message_of<InputError>([&] { t.number(0, "k"); }), {"n.star:12", "'12abc'"});
  EXPECT_THROW(t.integer(0, "e"), InputError);
  EXPECT_THROW(t.integer(0, "h"), InputError);
}

TEST(Star, MillionRows) {
  const TempFolder folder;
  constexpr int kRows = 1'000'000;
  std::string text = "\n# version 30001\n\ndata_particles\n\nloop_ \n_rlnImageName #1 \n_rlnMicrographName #2 \n";
  for (int c = 3; c <= 20; ++c) text += "_rlnColumn" + std::to_string(c) + " #" + std::to_string(c) + " \n";
  text.reserve(240'000'000);
  char row[512];
  for (int r = 0; r < kRows; ++r) {
    int length = std::snprintf(row, sizeof row, "%06d@Extract/job010/Movies/m%06d.mrcs Micrographs/m%06d.mrc", r % 500,
                               r / 500, r / 500);
    for (int c = 3; c <= 20; ++c)
      length += std::snprintf(row + length, sizeof row - static_cast<std::size_t>(length), " %9d.25", r + c);
    text.append(row, static_cast<std::size_t>(length)).append("\n");
  }
  write_bytes(folder / "big.star", text);
  const auto start = std::chrono::steady_clock::now();
  const StarFile star = read_star(folder / "big.star");
  const auto read = std::chrono::steady_clock::now();
  write_star(folder / "copy.star", star);
  const auto written = std::chrono::steady_clock::now();
  const StarTable& t = star.tables[0];
  ASSERT_EQ(t.rows(), std::size_t{kRows});
  EXPECT_EQ(t.number(kRows - 1, "rlnColumn20"), kRows + 19.25);
  EXPECT_EQ(t.text(kRows - 1, 0), "000499@Extract/job010/Movies/m001999.mrcs");
  const auto seconds = [](auto a, auto b) { return std::chrono::duration<double>(b - a).count(); };
  RecordProperty("read_s", std::to_string(seconds(start, read)));
  RecordProperty("write_s", std::to_string(seconds(read, written)));
  std::printf("%zu MB, 20 columns: read %.2f s, write %.2f s\n", text.size() >> 20, seconds(start, read),
              seconds(read, written));
  // "In seconds": generous, since sanitizers and other jobs slow this down.
  EXPECT_LT(seconds(start, written), 60);
  const StarFile again = read_star(folder / "copy.star");
  std::size_t different = 0;
  for (std::size_t r = 0; r < t.rows(); ++r)
    for (std::size_t c = 0; c < t.labels.size(); ++c) different += t.text(r, c) != again.tables[0].text(r, c);
  EXPECT_EQ(different, 0u);
}

}  // namespace
}  // namespace cryored::testing
