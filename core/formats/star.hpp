#pragma once
// STAR files as RELION 3.0 to 5 writes them: named data blocks, each a list of
// label-value pairs or a loop. Values stay the text of the file, so that a round trip
// loses no column and no digit; quotes are kept where a value needs them.
//
// The scanner is our own and not gemmi's: gemmi stores every cell as a std::string (a
// million particles of 30 columns take 1 GB of string objects before their text), follows the
// CIF grammar, which refuses what RELION writes (two blocks without a name, a list label without
// value, cells that begin with [ or $), and drops the "# version" comments. Here a cell is
// eight bytes that point into the text of the file. The tests use gemmi as an independent
// reader of the same files.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cryored {

/// One data block. A list block has exactly one row and is_loop == false.
/// Labels are stored without the leading underscore ("rlnPixelSize").
class StarTable {
 public:
  std::string name;  ///< "optics" for data_optics; may be empty (RELION 3.0)
  bool is_loop = true;
  std::vector<std::string> labels;
  /// Comment lines before the data_ line, each with its '#', joined by '\n'. RELION reads
  /// its version from here. Comments elsewhere in the block are not kept.
  std::string comment = "# version 30001";
  /// True for a second loop or list in one data_ block (CIF allows it, RELION does not write it).
  bool same_block = false;
  std::string file;  ///< where it was read from, for messages

  std::size_t rows() const { return labels.empty() ? 0 : cells_.size() / labels.size(); }
  bool has(std::string_view label) const { return column(label).has_value(); }
  /// Index of a label (first one when repeated).
  std::optional<std::size_t> column(std::string_view label) const;
  /// Same; throws InputError naming file, block, label and the labels present.
  std::size_t require_column(std::string_view label) const;

  /// Text of a cell, unquoted; valid until this table is changed or destroyed.
  /// Throws InputError naming file, block, label, row.
  std::string_view text(std::size_t row, std::string_view label) const;
  /// Locale-independent; nan and inf are accepted as numbers, the caller decides about them.
  double number(std::size_t row, std::string_view label) const;
  /// Decimal integer; a value such as 3.000000 is accepted, 3.5 is not.
  long integer(std::size_t row, std::string_view label) const;
  /// Same by column index, for loops over many rows.
  std::string_view text(std::size_t row, std::size_t column) const;
  double number(std::size_t row, std::size_t column) const;
  long integer(std::size_t row, std::size_t column) const;

  /// Appends a column with `fill` in each row. Throws InputError when the label exists.
  void add_column(const std::string& label, const std::string& fill = "0");
  void remove_column(std::string_view label);           ///< no effect when absent
  void add_row(const std::vector<std::string>& cells);  ///< one cell per label, in label order
  void set(std::size_t row, std::string_view label, std::string_view value);
  /// Keeps the rows given by index, in that order (may repeat): selections and subsets.
  void keep_rows(const std::vector<std::size_t>& rows);

 private:
  friend class StarParser;
  friend class StarFormatter;
  enum class Quote : std::uint8_t { none, single_quote, double_quote, text_block };
  /// Where a cell lies in source_ followed by extra_: 40 bits of offset, 22 of length, 2 of quote.
  struct Cell {
    std::uint64_t offset : 40;
    std::uint64_t length : 22;
    std::uint64_t quote : 2;
  };
  static constexpr std::uint64_t kMaxOffset = (std::uint64_t{1} << 40) - 1;
  static constexpr std::uint64_t kMaxLength = (std::uint64_t{1} << 22) - 1;

  Cell store(std::string_view value);
  std::string_view view(Cell cell) const;
  std::string place(std::size_t row, std::size_t column) const;
  void check_cell(std::size_t row, std::size_t column) const;

  std::shared_ptr<const char[]> source_;  ///< text of the file, shared by its tables
  std::uint64_t source_size_ = 0;
  std::string extra_;        ///< values set later
  std::vector<Cell> cells_;  ///< row-major, rows() * labels.size()
};

class StarFile {
 public:
  std::vector<StarTable> tables;
  std::string path;

  const StarTable* find(std::string_view block) const;
  StarTable* find(std::string_view block);
  /// Throws InputError that names the file and lists the blocks present.
  const StarTable& require(std::string_view block) const;
  StarTable& require(std::string_view block);
};

/// Throws InputError with path:line for malformed input. Reads a million rows in seconds.
/// Lines may end in LF or CRLF; a row may span lines; text blocks between lines that begin
/// with ';' are values; a list label without a value has an empty one.
StarFile read_star(const std::string& path);
StarFile parse_star(std::string_view text, const std::string& path_for_messages);

/// Layout of RELION: comment, data_, labels numbered, cells right-aligned to 12.
std::string format_star(const StarFile& star);
/// Atomic.
void write_star(const std::string& path, const StarFile& star);

}  // namespace cryored
