// Any text is either refused with an InputError or survives writing and reading unchanged.

#include "core/base/error.hpp"
#include "core/formats/star.hpp"
#include "fuzz_support.hpp"

using namespace cryored;
using fuzzing::expect;

namespace {

void expect_equal(const StarFile& a, const StarFile& b) {
  expect(a.tables.size() == b.tables.size(), "number of tables");
  for (std::size_t t = 0; t < a.tables.size(); ++t) {
    const StarTable &x = a.tables[t], &y = b.tables[t];
    expect(x.name == y.name && x.is_loop == y.is_loop && x.labels == y.labels, "structure of a table");
    expect(x.rows() == y.rows(), "number of rows");
    for (std::size_t r = 0; r < x.rows(); ++r)
      for (std::size_t c = 0; c < x.labels.size(); ++c) expect(x.text(r, c) == y.text(r, c), "cell");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  StarFile star;
  try {
    star = parse_star(text, "fuzz.star");
  } catch (const InputError&) {
    return 0;
  }
  const std::string written = format_star(star);
  expect_equal(star, parse_star(written, "written.star"));

  for (StarTable& table : star.tables) {
    if (table.rows() == 0) continue;
    for (std::size_t c = 0; c < table.labels.size(); ++c) {
      try {
        table.number(table.rows() - 1, c);
        table.integer(0, c);
      } catch (const InputError&) {
      }
    }
    // Values move between columns and tables: what was bare may now begin a line.
    const std::string moved(table.text(0, table.labels.size() - 1));
    try {
      table.set(table.rows() - 1, table.labels.front(), moved);
      if (table.labels.size() > 1 && table.is_loop) table.remove_column(table.labels.front());
      if (!table.has("new")) table.add_column("new", moved);
    } catch (const InputError&) {  // a line that begins with ';'
    }
  }
  expect_equal(star, parse_star(format_star(star), "changed.star"));
  return 0;
}
