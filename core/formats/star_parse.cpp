// Reading side of STAR files: a scanner that goes over the text once.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <unordered_set>

#include "core/base/error.hpp"
#include "core/formats/star.hpp"

namespace cryored {
namespace {

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f'; }
bool ends_word(char c) { return is_space(c) || c == '\n'; }

bool begins_with(std::string_view text, std::string_view lower_case_prefix) {
  if (text.size() < lower_case_prefix.size()) return false;
  for (std::size_t i = 0; i < lower_case_prefix.size(); ++i) {
    const char c = text[i] >= 'A' && text[i] <= 'Z' ? static_cast<char>(text[i] + 32) : text[i];
    if (c != lower_case_prefix[i]) return false;
  }
  return true;
}

std::string shown(std::string_view value) {
  std::string text = "'";
  text += value.substr(0, 60);
  text += value.size() > 60 ? "...'" : "'";
  return text;
}

}  // namespace

class StarParser {
 public:
  StarParser(std::shared_ptr<const char[]> text, std::size_t size, const std::string& path)
      : source_(std::move(text)), begin_(source_.get()), end_(begin_ + size), at_(begin_), path_(path) {
    star_.path = path;
  }

  StarFile parse() {
    if (static_cast<std::uint64_t>(end_ - begin_) > StarTable::kMaxOffset)
      fail("size", "more than 2^40 bytes", "up to 2^40 bytes", "split the file");
    if (const void* zero = end_ > begin_ ? std::memchr(begin_, 0, static_cast<std::size_t>(end_ - begin_)) : nullptr) {
      line_ += static_cast<std::size_t>(std::count(begin_, static_cast<const char*>(zero), '\n'));
      fail("", "a zero byte", "text", "this is not a STAR file, or it was damaged: check the name or write it again");
    }
    if (end_ - begin_ >= 3 && std::memcmp(begin_, "\xEF\xBB\xBF", 3) == 0) at_ += 3;
    while (at_ < end_) parse_line();
    finish_loop();
    if (star_.tables.empty())
      throw InputError(Problem{path_, "", end_ == begin_ ? "an empty file" : "no data_ line",
                               "a STAR file with at least one block that begins with data_",
                               "check the name; if the file was cut short, write it again"});
    return std::move(star_);
  }

 private:
  enum class State { outside, list, loop_labels, loop_rows };

  [[noreturn]] void fail(const std::string& field, const std::string& found, const std::string& allowed,
                         const std::string& remedy) const {
    throw InputError(Problem{path_ + ":" + std::to_string(line_), field, found, allowed, remedy});
  }

  void skip_spaces() {
    while (at_ < end_ && is_space(*at_)) ++at_;
  }
  bool at_line_end() const { return at_ >= end_ || *at_ == '\n'; }
  /// Behind spaces: nothing more, or a comment.
  bool at_content_end() const { return at_line_end() || *at_ == '#'; }
  const char* find_line_end(const char* from) const {
    const void* found = std::memchr(from, '\n', static_cast<std::size_t>(end_ - from));
    return found ? static_cast<const char*>(found) : end_;
  }
  void next_line() {
    at_ = find_line_end(at_);
    if (at_ < end_) {
      ++at_;
      ++line_;
    }
  }
  std::string_view peek_word() const {
    const char* stop = at_;
    while (stop < end_ && !ends_word(*stop)) ++stop;
    return {at_, static_cast<std::size_t>(stop - at_)};
  }
  StarTable& table() { return star_.tables.back(); }

  void parse_line() {
    const char* line_start = at_;
    skip_spaces();
    if (at_line_end()) return next_line();
    if (*at_ == '#') return take_comment();
    const std::string_view word = peek_word();
    const bool row_open = state_ == State::loop_rows && row_cells_ != 0;
    if (*at_ == ';' && at_ == line_start) {
      if (state_ != State::loop_labels && state_ != State::loop_rows)
        fail("", "a text block that begins with ';'", "a label that begins with _ before it",
             "put a label on the line before");
      enter_rows();
      append(take_text_block());
      return close_line_of_row();
    }
    if (!row_open && begins_with(word, "data_") && is_block_line(word)) return begin_block(word);
    pending_comment_.clear();
    if (!row_open && word.size() == 5 && begins_with(word, "loop_")) {
      begin_loop();
      at_ += 5;
      skip_spaces();
      if (at_content_end()) return next_line();
      return parse_loop_line();
    }
    if (state_ == State::loop_labels || (state_ == State::loop_rows && (row_open || *at_ != '_')))
      return parse_loop_line();
    if (*at_ == '_') return parse_pairs();
    fail("", shown(word), "data_<name>, loop_, _label or a comment",
         state_ == State::outside ? "check that this is a STAR file"
                                  : "quote values that contain spaces, and put loop_ before tables");
  }

  void take_comment() {
    const char* stop = find_line_end(at_);
    std::string_view text(at_, static_cast<std::size_t>(stop - at_));
    while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
    if (!pending_comment_.empty()) pending_comment_ += '\n';
    pending_comment_ += text;
    next_line();
  }

  /// A data_ line holds nothing else; a path such as data_1/a.mrc can also be the first cell
  /// of a row, where RELION would read it as such.
  bool is_block_line(std::string_view word) {
    if ((state_ != State::loop_labels && state_ != State::loop_rows) || table().labels.size() <= 1) return true;
    const char* rest = word.data() + word.size();
    while (rest < end_ && is_space(*rest)) ++rest;
    return rest >= end_ || *rest == '\n' || *rest == '#';
  }

  void begin_block(std::string_view word) {
    finish_loop();
    at_ += word.size();
    skip_spaces();
    if (!at_content_end())
      fail("data_", shown(peek_word()) + " after the name of the block", "nothing more on that line",
           "block names hold no spaces");
    const std::string_view name = word.substr(5);
    // Which of the two is meant? Of those without a name RELION writes several, and who reads them looks at labels.
    if (!name.empty() && !block_names_.insert(name).second)
      fail("data_" + std::string(name), "the block again", "each block once",
           "remove or rename one; if two files were put together, join their tables");
    add_table(std::string(name));
    table().comment = std::move(pending_comment_);
    pending_comment_.clear();
    state_ = State::outside;
    next_line();
  }

  void add_table(std::string name) {
    labels_.clear();
    StarTable& t = star_.tables.emplace_back();
    t.name = std::move(name);
    t.comment.clear();
    t.is_loop = false;
    t.file = path_;
    t.source_ = source_;
    t.source_size_ = static_cast<std::uint64_t>(end_ - begin_);
  }

  void need_block(const char* what) {
    if (star_.tables.empty())
      fail("", what, "a data_<name> line first", "check that this is a STAR file and that its beginning is not lost");
  }

  /// A second loop or list of a block becomes a table of its own.
  void begin_part(bool is_loop) {
    if (!table().labels.empty()) {
      std::string name = table().name;
      add_table(std::move(name));
      table().same_block = true;
    }
    table().is_loop = is_loop;
  }

  void begin_loop() {
    need_block("loop_");
    finish_loop();
    begin_part(true);
    state_ = State::loop_labels;
    loop_line_ = line_;
  }

  void enter_rows() {
    if (state_ != State::loop_labels) return;
    if (table().labels.empty()) fail("loop_", "a value", "labels that begin with _ first", "name the columns");
    state_ = State::loop_rows;
    row_cells_ = 0;
  }

  void parse_loop_line() {
    while (!at_content_end()) {
      if (state_ == State::loop_labels && *at_ == '_') {
        take_label();
      } else {
        const bool first = state_ == State::loop_labels;
        enter_rows();
        if (first) reserve_cells();
        append(take_value());
      }
      skip_spaces();
    }
    if (state_ == State::loop_rows) close_line_of_row();
    next_line();
  }

  void reserve_cells() {
    const auto line = static_cast<std::size_t>(find_line_end(at_) - at_) + 1;
    const auto rest = static_cast<std::size_t>(end_ - at_);
    // Only a guess from the first row; never more than one cell per two bytes.
    table().cells_.reserve(std::min((rest / line + 1) * table().labels.size(), rest / 2 + 1));
  }

  /// A row may go on over lines, but a line that ends one row must not begin the next:
  /// else one missing and one extra value would shift the columns between unnoticed.
  void close_line_of_row() {
    const std::size_t columns = table().labels.size();
    const std::size_t total = table().cells_.size();
    const std::size_t open_before = row_cells_;
    const std::size_t on_line = total - (loop_rows_ * columns + open_before);
    const std::size_t so_far = open_before + on_line;
    if (open_before != 0 ? so_far > columns : so_far > columns && so_far % columns != 0)
      fail("data_" + table().name,
           std::to_string(on_line) + " values on this line" +
               (open_before ? " after " + std::to_string(open_before) + " on the lines before" : ""),
           std::to_string(columns) + " values in a row, one per label",
           "quote values that contain spaces or are empty");
    loop_rows_ += so_far / columns;
    row_cells_ = so_far % columns;
    if (open_before == 0 && row_cells_ != 0) row_line_ = line_;
  }

  void finish_loop() {
    if (state_ == State::loop_labels && table().labels.empty()) {
      line_ = loop_line_;
      fail("data_" + table().name, "loop_ without labels", "labels that begin with _ after it", "name the columns");
    }
    if (state_ == State::loop_rows && row_cells_ != 0) {
      line_ = row_line_;
      fail("data_" + table().name, std::to_string(row_cells_) + " values in this row",
           std::to_string(table().labels.size()) + " values in a row, one per label",
           "quote values that contain spaces or are empty; if the file was cut short, write it again");
    }
    loop_rows_ = row_cells_ = 0;
    state_ = State::outside;
  }

  void take_label() {
    const std::string_view word = peek_word();
    if (word.size() == 1) fail("data_" + table().name, "a label without a name", "_name", "");
    // Two columns of somebody else's label are kept, as RELION does; of one of RELION's, which is meant?
    if (!labels_.insert(word).second && word.starts_with("_rln"))
      fail("data_" + table().name, "the label " + std::string(word) + " again", "each label once",
           "remove one of the columns, with its values");
    table().labels.emplace_back(word.substr(1));
    at_ += word.size();
  }

  /// `_label value`, one or more on a line; a missing value is empty, as in RELION.
  void parse_pairs() {
    need_block("a label");
    if (state_ != State::list) {
      finish_loop();
      begin_part(false);
      state_ = State::list;
    }
    while (!at_content_end()) {
      if (*at_ != '_')
        fail("_" + table().labels.back(), "a second value " + shown(peek_word()), "one value per label",
             "quote values that contain spaces");
      take_label();
      skip_spaces();
      if (!at_content_end()) {
        append(take_value());
        skip_spaces();
        continue;
      }
      next_line();
      const char* line_start = at_;
      skip_spaces();
      if (at_ < end_ && *at_ == ';' && at_ == line_start) {
        append(take_text_block());
        return;
      }
      const bool empty = at_content_end() || *at_ == '_' || begins_with(peek_word(), "data_") ||
                         (peek_word().size() == 5 && begins_with(peek_word(), "loop_"));
      if (empty) {
        at_ = line_start;
        append({static_cast<std::uint64_t>(at_ - begin_), 0, 0});
        return;
      }
      append(take_value());
      skip_spaces();
    }
    next_line();
  }

  void append(StarTable::Cell cell) { table().cells_.push_back(cell); }

  StarTable::Cell cell(const char* from, const char* to, StarTable::Quote quote) const {
    if (static_cast<std::uint64_t>(to - from) > StarTable::kMaxLength)
      fail("data_" + star_.tables.back().name, "a value of " + std::to_string(to - from) + " bytes",
           "values of up to 4194303 bytes", "check that the file is not damaged");
    return {static_cast<std::uint64_t>(from - begin_), static_cast<std::uint64_t>(to - from),
            static_cast<std::uint64_t>(quote)};
  }

  StarTable::Cell take_value() {
    const char* from = at_;
    if (*from != '"' && *from != '\'') {
      while (at_ < end_ && !ends_word(*at_)) ++at_;
      return cell(from, at_, StarTable::Quote::none);
    }
    // A quote ends only before white space, so 5'-end and O5' need no escaping inside.
    for (const char* p = from + 1; p < end_ && *p != '\n'; ++p) {
      if (*p != *from || (p + 1 < end_ && !ends_word(p[1]))) continue;
      at_ = p + 1;
      return cell(from + 1, p, *from == '"' ? StarTable::Quote::double_quote : StarTable::Quote::single_quote);
    }
    fail("data_" + table().name,
         "a quote that is not closed: " + shown({from, static_cast<std::size_t>(find_line_end(from) - from)}),
         "a closing quote before the end of the line", "close the quote, or use the other kind");
  }

  /// At ';' in the first column; the value ends before the next line that begins with ';'.
  StarTable::Cell take_text_block() {
    const char* from = at_ + 1;
    const std::size_t first_line = line_;
    for (const char* p = from;;) {
      const char* newline = find_line_end(p);
      if (newline >= end_ || newline + 1 >= end_) break;
      ++line_;
      if (newline[1] != ';') {
        p = newline + 1;
        continue;
      }
      at_ = newline + 2;
      if (at_ < end_ && !ends_word(*at_))
        fail("data_" + table().name, "text right after the ';' that ends a text block", "white space after it",
             "put it on a line of its own");
      const char* to = newline > from && newline[-1] == '\r' ? newline - 1 : newline;
      return cell(from, to, StarTable::Quote::text_block);
    }
    line_ = first_line;
    fail("data_" + table().name, "a text block that is not closed", "a line that begins with ';' after it",
         "close it; if the file was cut short, write it again");
  }

  std::shared_ptr<const char[]> source_;
  const char *begin_, *end_, *at_;
  std::string path_;
  StarFile star_;
  State state_ = State::outside;
  std::size_t line_ = 1;
  std::string pending_comment_;
  std::unordered_set<std::string_view> block_names_, labels_;  // labels: of the table that is being read
  // Of the loop that is being read: complete rows, cells of the open row, where it began.
  std::size_t loop_rows_ = 0, row_cells_ = 0, row_line_ = 0, loop_line_ = 0;
};

StarFile parse_star(std::string_view text, const std::string& path_for_messages) {
  auto copy = std::make_shared_for_overwrite<char[]>(text.size() + 1);
  if (!text.empty()) std::memcpy(copy.get(), text.data(), text.size());
  return StarParser(std::move(copy), text.size(), path_for_messages).parse();
}

StarFile read_star(const std::string& path) {
  struct Descriptor {
    int fd;
    ~Descriptor() {
      if (fd >= 0) close(fd);
    }
  };
  const Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.fd < 0)
    throw InputError(Problem{path, "cannot open the STAR file", std::strerror(errno), "",
                             errno == ENOENT ? "check the name; relative names count from the working directory"
                                             : "make the file readable for this user"});
  struct stat info {};
  if (fstat(file.fd, &info) != 0 || !S_ISREG(info.st_mode))
    throw InputError(Problem{path, "STAR file", "a folder or device", "a regular file", "check the name"});
  const auto size = static_cast<std::size_t>(info.st_size);
  auto text = std::make_shared_for_overwrite<char[]>(size + 1);
  std::size_t have = 0;
  while (have < size) {
    const ssize_t got = read(file.fd, text.get() + have, std::min<std::size_t>(size - have, std::size_t{1} << 30));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0)
      throw SystemError(Problem{path, "reading", std::strerror(errno), "", "check the disk, then run again"});
    if (got == 0) break;  // grew shorter since fstat: parse what is there
    have += static_cast<std::size_t>(got);
  }
  return StarParser(std::move(text), have, path).parse();
}

}  // namespace cryored
