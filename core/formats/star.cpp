// Tables of STAR files: access, changes, and the writing side.

#include "core/formats/star.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "core/base/atomic_file.hpp"
#include "core/base/error.hpp"

namespace cryored {
namespace {

bool is_white(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f' || c == '\n'; }

bool is_reserved(std::string_view value) {
  for (const std::string_view word : {"data_", "loop_", "save_", "stop_", "global_"}) {
    if (value.size() < word.size()) continue;
    bool same = true;
    for (std::size_t i = 0; i < word.size() && same; ++i)
      same = (value[i] >= 'A' && value[i] <= 'Z' ? value[i] + 32 : value[i]) == word[i];
    if (same) return true;
  }
  return false;
}

bool bare_at_line_start(std::string_view value) {
  return !value.empty() && !std::strchr("'\"#_;$[]", value.front()) && !is_reserved(value);
}

bool quotable(std::string_view value, char quote) {
  for (std::size_t i = 0; i < value.size(); ++i)
    if (value[i] == '\n' || (value[i] == quote && i + 1 < value.size() && is_white(value[i + 1]))) return false;
  return true;
}

std::string quoted(std::string_view value) {
  std::string text = "'";
  text += value.substr(0, 200);
  text += '\'';
  return text;
}

std::string joined(const std::vector<std::string>& names) {
  std::string all;
  for (const std::string& name : names) all += (all.empty() ? "" : ", ") + name;
  return all.empty() ? "none" : all;
}

}  // namespace

std::optional<std::size_t> StarTable::column(std::string_view label) const {
  for (std::size_t i = 0; i < labels.size(); ++i)
    if (labels[i] == label) return i;
  return std::nullopt;
}

std::size_t StarTable::require_column(std::string_view label) const {
  if (const auto index = column(label)) return *index;
  throw InputError(Problem{file.empty() ? "STAR table" : file, "data_" + name + ", label _" + std::string(label),
                           "nothing", "this label to be present (labels there: " + joined(labels) + ")",
                           "check that this is the right file, written completely"});
}

std::string_view StarTable::view(Cell cell) const {
  const std::uint64_t offset = cell.offset;
  if (cell.length == 0) return {};
  const char* base = offset < source_size_ ? source_.get() + offset : extra_.data() + (offset - source_size_);
  return {base, static_cast<std::size_t>(cell.length)};
}

std::string StarTable::place(std::size_t row, std::size_t col) const {
  std::string where = file.empty() ? "STAR table" : file;
  const Cell cell = cells_[row * labels.size() + col];
  if (cell.offset < source_size_) {
    const char* text = source_.get();
    where += ":" + std::to_string(1 + std::count(text, text + cell.offset, '\n'));
  }
  where += ": data_" + name;
  if (is_loop) where += ", row " + std::to_string(row + 1);
  return where;
}

void StarTable::check_cell(std::size_t row, std::size_t col) const {
  if (col < labels.size() && row < rows()) return;
  throw InputError(Problem{file.empty() ? "STAR table" : file, "data_" + name,
                           "row " + std::to_string(row + 1) + ", column " + std::to_string(col + 1),
                           std::to_string(rows()) + " rows, " + std::to_string(labels.size()) + " columns",
                           "check that the file is complete"});
}

std::string_view StarTable::text(std::size_t row, std::size_t col) const {
  check_cell(row, col);
  return view(cells_[row * labels.size() + col]);
}

std::string_view StarTable::text(std::size_t row, std::string_view label) const {
  return text(row, require_column(label));
}

double StarTable::number(std::size_t row, std::string_view label) const { return number(row, require_column(label)); }
long StarTable::integer(std::size_t row, std::string_view label) const { return integer(row, require_column(label)); }

double StarTable::number(std::size_t row, std::size_t col) const {
  const std::string_view value = text(row, col);
  const char* from = value.data();
  const char* to = from + value.size();
  if (value.size() > 1 && *from == '+' && from[1] != '-') ++from;
  double result = 0;
  const auto [stop, error] = std::from_chars(from, to, result);
  if (error == std::errc() && stop == to && from != to) return result;
  if (error == std::errc::result_out_of_range && stop == to) {
    // Over- or underflow: what strtod makes of it (inf or 0), as RELION reads it.
    return std::strtod(std::string(from, to).c_str(), nullptr);
  }
  throw InputError(Problem{place(row, col), "_" + labels[col], quoted(value), "a number",
                           "correct the value, or write the file again"});
}

long StarTable::integer(std::size_t row, std::size_t col) const {
  const std::string_view value = text(row, col);
  long result = 0;
  const auto [stop, error] = std::from_chars(value.data(), value.data() + value.size(), result);
  if (error == std::errc() && stop == value.data() + value.size() && !value.empty()) return result;
  const double real = number(row, col);
  if (std::isfinite(real) && real == std::floor(real) && std::abs(real) < 9e15) return static_cast<long>(real);
  throw InputError(Problem{place(row, col), "_" + labels[col], quoted(value), "a whole number",
                           "correct the value, or write the file again"});
}

StarTable::Cell StarTable::store(std::string_view value) {
  const std::string where = file.empty() ? "STAR table" : file;
  const auto reject = [&](const char* found, const char* allowed) {
    throw InputError(Problem{where, "data_" + name + ", value to write", found, allowed, ""});
  };
  if (value.size() > kMaxLength) reject("more than 4194303 bytes", "up to 4194303 bytes");
  if (value.find('\0') != std::string_view::npos) reject("a zero byte", "text");
  Quote quote = Quote::none;
  const bool spaced = std::any_of(value.begin(), value.end(), is_white);
  if (spaced || !bare_at_line_start(value)) {
    if (quotable(value, '"')) {
      quote = Quote::double_quote;
    } else if (quotable(value, '\'')) {
      quote = Quote::single_quote;
    } else {
      quote = Quote::text_block;
      if (value.find("\n;") != std::string_view::npos) reject("a line that begins with ';'", "text that STAR can hold");
    }
  }
  const std::uint64_t offset = source_size_ + extra_.size();
  if (offset + value.size() > kMaxOffset) reject("more than 2^40 bytes of values", "up to 2^40 bytes");
  extra_.append(value);
  return {offset, value.size(), static_cast<std::uint64_t>(quote)};
}

void StarTable::add_column(const std::string& label, const std::string& fill) {
  if (has(label))
    throw InputError(Problem{file.empty() ? "STAR table" : file, "data_" + name, "label _" + label + " already present",
                             "a new label", ""});
  const std::size_t old_columns = labels.size();
  const std::size_t old_rows = !is_loop && old_columns == 0 ? 1 : rows();
  const Cell filler = store(fill);
  std::vector<Cell> wider;
  wider.reserve(old_rows * (old_columns + 1));
  for (std::size_t r = 0; r < old_rows; ++r) {
    const auto first = cells_.begin() + static_cast<std::ptrdiff_t>(r * old_columns);
    wider.insert(wider.end(), first, first + static_cast<std::ptrdiff_t>(old_columns));
    wider.push_back(filler);
  }
  labels.push_back(label);
  cells_ = std::move(wider);
}

void StarTable::remove_column(std::string_view label) {
  const auto gone = column(label);
  if (!gone) return;
  const std::size_t columns = labels.size();
  std::size_t to = 0;
  for (std::size_t from = 0; from < cells_.size(); ++from)
    if (from % columns != *gone) cells_[to++] = cells_[from];
  cells_.resize(to);
  labels.erase(labels.begin() + static_cast<std::ptrdiff_t>(*gone));
}

void StarTable::add_row(const std::vector<std::string>& values) {
  if (values.size() != labels.size())
    throw InputError(Problem{file.empty() ? "STAR table" : file, "data_" + name + ", row to add",
                             std::to_string(values.size()) + " values",
                             std::to_string(labels.size()) + ", one per label", ""});
  for (const std::string& value : values) cells_.push_back(store(value));
}

void StarTable::set(std::size_t row, std::string_view label, std::string_view value) {
  const std::size_t col = require_column(label);
  check_cell(row, col);
  cells_[row * labels.size() + col] = store(value);
}

void StarTable::keep_rows(const std::vector<std::size_t>& kept) {
  const std::size_t columns = labels.size();
  std::vector<Cell> cells;
  cells.reserve(kept.size() * columns);
  for (const std::size_t row : kept) {
    check_cell(row, 0);
    const auto first = cells_.begin() + static_cast<std::ptrdiff_t>(row * columns);
    cells.insert(cells.end(), first, first + static_cast<std::ptrdiff_t>(columns));
  }
  cells_ = std::move(cells);
}

const StarTable* StarFile::find(std::string_view block) const {
  for (const StarTable& table : tables)
    if (table.name == block) return &table;
  return nullptr;
}

StarTable* StarFile::find(std::string_view block) {
  return const_cast<StarTable*>(static_cast<const StarFile*>(this)->find(block));
}

const StarTable& StarFile::require(std::string_view block) const {
  if (const StarTable* table = find(block)) return *table;
  std::vector<std::string> present;
  for (const StarTable& table : tables) present.push_back("data_" + table.name);
  throw InputError(Problem{path.empty() ? "STAR file" : path, "block data_" + std::string(block), "nothing",
                           "this block to be present (blocks there: " + joined(present) + ")",
                           "check that this is the right file, written completely"});
}

StarTable& StarFile::require(std::string_view block) {
  return const_cast<StarTable&>(static_cast<const StarFile*>(this)->require(block));
}

/// Formats tables into `out`; with a file, passes it on in pieces to bound memory.
class StarFormatter {
 public:
  explicit StarFormatter(AtomicFile* file) : file_(file) {}
  std::string out;

  void add(const StarTable& t) {
    if (!t.same_block) {
      out += '\n';
      if (!t.comment.empty()) out += t.comment + "\n\n";
      out += "data_" + t.name + "\n";
    }
    out += '\n';
    t.is_loop ? add_loop(t) : add_list(t);
    out += '\n';
  }
  void flush() {
    if (!file_) return;
    file_->write(out);
    out.clear();
  }

 private:
  void add_loop(const StarTable& t) {
    const std::size_t columns = t.labels.size();
    if (columns == 0) return;
    out += "loop_ \n";
    for (std::size_t i = 0; i < columns; ++i) out += "_" + t.labels[i] + " #" + std::to_string(i + 1) + " \n";
    const std::size_t rows = t.rows();
    if (!file_ && rows > 0) out.reserve(out.size() + t.cells_.size() * 13);
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t c = 0; c < columns; ++c) add_cell(t, t.cells_[r * columns + c]);
      if (out.back() != '\n') out += '\n';
      if (file_ && out.size() > (std::size_t{1} << 22)) flush();
    }
  }

  void add_list(const StarTable& t) {
    std::size_t width = 0;
    for (const std::string& label : t.labels) width = std::max(width, label.size());
    for (std::size_t c = 0; c < t.labels.size(); ++c) {
      out += "_" + t.labels[c] + std::string(width - t.labels[c].size() + 1, ' ');
      add_cell(t, t.cells_[c]);
      if (out.back() != '\n') out += '\n';
    }
  }

  void add_cell(const StarTable& t, StarTable::Cell cell) {
    const std::string_view value = t.view(cell);
    auto quote = static_cast<StarTable::Quote>(cell.quote);
    // Read bare in the middle of a line, it may need quotes where a line begins, or
    // (an empty value of a list) anywhere.
    const bool line_start = out.empty() || out.back() == '\n';
    if (quote == StarTable::Quote::none && (value.empty() || (line_start && !bare_at_line_start(value))))
      quote = StarTable::Quote::double_quote;
    switch (quote) {
      case StarTable::Quote::none:
        if (!line_start) out += ' ';
        if (value.size() < 12) out.append(12 - value.size(), ' ');
        out += value;
        break;
      case StarTable::Quote::text_block:
        if (!line_start) out += '\n';
        out += ';';
        out += value;
        // One CR before the end counts as part of the line end when read.
        if (!value.empty() && value.back() == '\r') out += '\r';
        out += "\n;\n";
        break;
      default: {
        const char mark = quote == StarTable::Quote::double_quote ? '"' : '\'';
        if (!line_start) out += ' ';
        if (value.size() < 10) out.append(10 - value.size(), ' ');
        out += mark;
        out += value;
        out += mark;
      }
    }
  }

  AtomicFile* file_;
};

std::string format_star(const StarFile& star) {
  StarFormatter formatter(nullptr);
  for (const StarTable& table : star.tables) formatter.add(table);
  return std::move(formatter.out);
}

void write_star(const std::string& path, const StarFile& star) {
  AtomicFile file(path);
  StarFormatter formatter(&file);
  for (const StarTable& table : star.tables) {
    formatter.add(table);
    formatter.flush();
  }
  file.commit();
}

}  // namespace cryored
