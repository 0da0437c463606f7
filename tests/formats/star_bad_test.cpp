// STAR: malformed input is an InputError that names path and line.

#include <sys/stat.h>

#include "core/formats/star.hpp"
#include "formats_testing.hpp"

namespace cryored::testing {
namespace {

struct Bad {
  const char* name;
  std::string text;
  std::vector<std::string> parts;
};

class StarBad : public ::testing::TestWithParam<Bad> {};

TEST_P(StarBad, NamesPathAndLine) {
  const std::string message = message_of<InputError>([&] { parse_star(GetParam().text, "dir/bad.star"); });
  expect_parts(message, GetParam().parts);
  expect_parts(message, {"dir/bad.star", "allowed: "});
}

INSTANTIATE_TEST_SUITE_P(
    Texts, StarBad,
    ::testing::Values(
        Bad{"empty", "", {"an empty file", "Remedy"}}, Bad{"blank", " \n\n# only a comment\n", {"no data_ line"}},
        Bad{"not_star", "hello world\n", {"bad.star:1", "'hello'", "data_<name>"}},
        Bad{"zero_byte", std::string("data_x\n_a 1\n\0", 13), {"bad.star:3", "a zero byte"}},
        Bad{"label_before_block", "_a 1\n", {"bad.star:1", "data_<name> line first"}},
        Bad{"loop_before_block", "\nloop_\n_a\n1\n", {"bad.star:2", "loop_"}},
        Bad{"loop_without_labels", "data_x\nloop_\n\ndata_y\n", {"bad.star:2", "data_x", "loop_ without labels"}},
        Bad{"loop_without_labels_at_end", "data_x\nloop_\n", {"bad.star:2", "loop_ without labels"}},
        Bad{"value_before_labels", "data_x\nloop_\n1 2\n", {"bad.star:3", "loop_", "a value"}},
        Bad{"row_too_long",
            "data_x\nloop_\n_a\n_b\n1 2\n1 2 3\n",
            {"bad.star:6", "data_x", "3 values", "2 values in a row"}},
        Bad{"row_too_short_then_next",
            "data_x\nloop_\n_a\n_b\n_c\n1 2\n1 2 3\n",
            {"bad.star:7", "3 values on this line after 2"}},
        // One missing, one extra: the total fits, the columns would be shifted.
        Bad{"shifted_rows", "data_x\nloop_\n_a\n_b\n1\n2 3 4\n", {"bad.star:6", "3 values on this line after 1"}},
        Bad{"last_row_cut", "data_x\nloop_\n_a\n_b\n1 2\n3", {"bad.star:6", "1 values in this row", "cut short"}},
        Bad{"open_double_quote", "data_x\n_a \"b c\n_d 1\n", {"bad.star:2", "quote that is not closed", "\"b c"}},
        Bad{"open_single_quote_in_row", "data_x\nloop_\n_a\n'b\n", {"bad.star:4", "quote that is not closed"}},
        Bad{"open_text_block", "data_x\n_a\n;text\nmore\n", {"bad.star:3", "text block that is not closed"}},
        Bad{"text_after_text_block", "data_x\n_a\n;t\n;x\n", {"bad.star:4", "right after the ';'"}},
        Bad{"text_block_without_label", "data_x\n;t\n;\n", {"bad.star:2", "text block", "label"}},
        Bad{"two_values", "data_x\n_a one two\n", {"bad.star:2", "_a", "second value 'two'", "quote"}},
        Bad{"value_without_label", "data_x\n_a 1\n\n2\n", {"bad.star:4", "'2'"}},
        Bad{"label_without_name", "data_x\n_ 1\n", {"bad.star:2", "label without a name"}},
        Bad{"label_twice_in_loop",
            "data_x\nloop_\n_rlnA\n_b\n_rlnA\n1 2 3\n",
            {"bad.star:5", "data_x", "the label _rlnA again", "each label once"}},
        Bad{"label_twice_in_list", "data_x\n_rlnA 1\n_rlnA 2\n", {"bad.star:3", "data_x", "the label _rlnA again"}},
        Bad{"block_twice",
            "data_x\n_a 1\ndata_y\n_a 1\ndata_x\n_a 2\n",
            {"bad.star:5", "data_x", "the block again", "each block once"}},
        Bad{"block_name_with_space", "data_x y\n", {"bad.star:1", "'y' after the name"}},
        Bad{"huge_cell",
            "data_x\n_a " + std::string(5'000'000, 'x') + "\n",
            {"bad.star:2", "5000000 bytes", "4194303"}}),
    [](const auto& one) { return one.param.name; });

TEST(StarMissing, FileFolderPipe) {
  const TempFolder folder;
  expect_parts(message_of<InputError>([&] { read_star(folder / "absent.star"); }),
               {folder / "absent.star", "No such file", "Remedy"});
  expect_parts(message_of<InputError>([&] { read_star(folder.path()); }), {"a folder or device"});
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
  expect_parts(message_of<InputError>([&] { read_star(folder / "pipe"); }), {"a folder or device"});
}

TEST(StarMissing, BlockLabelRow) {
  const StarFile star = parse_star("data_a\n_x 1\ndata_b\nloop_\n_y\n5\n", "f.star");
  expect_parts(message_of<InputError>([&] { star.require("optics"); }), {"f.star", "data_optics", "data_a, data_b"});
  expect_parts(message_of<InputError>([&] { star.tables[1].text(0, "z"); }),
               {"f.star", "data_b", "_z", "labels there: y"});
  expect_parts(message_of<InputError>([&] { star.tables[1].text(1, "y"); }), {"f.star", "data_b", "row 2", "1 rows"});
  EXPECT_THROW(star.tables[1].text(0, 1), InputError);
}

TEST(StarWriteBad, ValuesThatStarCannotHold) {
  StarTable table;
  table.labels = {"a"};
  EXPECT_THROW(table.add_row({std::string("x\0y", 3)}), InputError);
  EXPECT_THROW(table.add_row({"a\n;b"}), InputError);
  EXPECT_THROW(table.add_row({std::string(5'000'000, 'x')}), InputError);
  EXPECT_THROW(table.add_row({"1", "2"}), InputError);
  EXPECT_THROW(table.add_column("a"), InputError);
  EXPECT_THROW(table.set(0, "a", "x"), InputError);
  EXPECT_EQ(table.rows(), 0u);
}

TEST(StarWriteBad, FolderMissing) {
  const TempFolder folder;
  expect_parts(message_of<SystemError>([&] { write_star(folder / "absent/x.star", StarFile()); }),
               {folder / "absent/x.star", "create the folder"});
}

}  // namespace
}  // namespace cryored::testing
