// The --help texts are committed in docs/help; ./dev lint --update-help writes them anew.

#include <fstream>
#include <sstream>

#include "tests/cli/reconstruct_fixture.hpp"

namespace cryored_test {
namespace {

using Words = std::vector<std::string>;

// Lines "name program [arguments]" of docs/help/programs that concern these two programs.
std::vector<Words> listed() {
  std::vector<Words> entries;
  std::ifstream file(CRYORED_TEST_HELP "/programs");
  for (std::string line; std::getline(file, line);) {
    std::istringstream in(line);
    Words words;
    for (std::string word; in >> word;) words.push_back(word);
    if (words.size() >= 2 && (words[1] == "cryored" || words[1] == "cryored-reconstruct")) entries.push_back(words);
  }
  return entries;
}

TEST(HelpTest, CommittedTextsAreThoseOfThePrograms) {
  const auto entries = listed();
  EXPECT_GE(entries.size(), 9u);
  for (const auto& entry : entries) {
    Words words{std::string(CRYORED_TEST_BIN) + "/" + entry[1]};
    words.insert(words.end(), entry.begin() + 2, entry.end());
    words.push_back("--help");
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.code, 0);
    EXPECT_EQ(outcome.err, "");
    EXPECT_EQ(outcome.out, read_file(std::string(CRYORED_TEST_HELP) + "/" + entry[0] + ".txt"))
        << entry[0] << ": run ./dev lint --update-help";
  }
}

TEST(HelpTest, EveryCommandIsListed) {
  const Outcome overview = run(Words{cryored(), "--help"});
  std::istringstream lines(overview.out.substr(overview.out.find("Commands:\n") + 10));
  int commands = 0;
  for (std::string line; std::getline(lines, line) && line.rfind("  ", 0) == 0; ++commands) {
    const std::string name = line.substr(2, line.find(' ', 2) - 2);
    bool found = false;
    for (const auto& entry : listed()) found = found || entry[0] == "cryored-" + name;
    EXPECT_TRUE(found) << name;
  }
  EXPECT_GE(commands, 16);
}

TEST(HelpTest, MisuseEndsWithTwoAndAHint) {
  const Outcome none = run(Words{cryored()});
  EXPECT_EQ(none.code, 2);
  EXPECT_EQ(none.out, "");
  const Outcome unknown = run(Words{cryored(), "recontruct"});
  EXPECT_EQ(unknown.code, 2);
  EXPECT_NE(unknown.err.find("did you mean cryored reconstruct?"), std::string::npos) << unknown.err;
  EXPECT_EQ(run(Words{cryored(), "version", "extra"}).code, 2);
}

TEST(HelpTest, FullStandardOutputIsAnError) {
  const Outcome outcome = run(Words{"sh", "-c", "'" + cryored() + "' --help > /dev/full"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.err.find("standard output"), std::string::npos) << outcome.err;
}

}  // namespace
}  // namespace cryored_test
