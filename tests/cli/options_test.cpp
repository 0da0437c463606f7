// The option parser: sources, precedence, checks and messages.

#include "cli/options.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "core/base/error.hpp"
#include "tests/cli/process.hpp"

namespace cryored {
namespace {

using cryored_test::ScratchFolder;
using cryored_test::write_file;

CommandSpec example() {
  CommandSpec spec;
  spec.program = "cryored example";
  spec.arguments = "STAR";
  spec.summary = "an example";
  spec.minimum_arguments = spec.maximum_arguments = 1;
  spec.options = {{"lambda", OptionKind::number, "L", "", "weight", {}, 0, 1},
                  {"threads", OptionKind::integer, "N", "2", "threads", {}, 1, 64},
                  {"prior", OptionKind::choice, "NAME", "cw-red", "prior", {"gaussian", "red", "cw-red"}},
                  {"confidence-range", OptionKind::range, "LOW:HIGH", "10:4.5", "range"},
                  {"device", OptionKind::device, "DEVICE", "auto", "device"},
                  {"memory-limit", OptionKind::size, "SIZE", "", "memory"},
                  {"gpus", OptionKind::indices, "LIST", "", "GPUs"},
                  {"skip-gridding", OptionKind::flag, "", "no", "skip"}};
  spec.options.push_back({"json", OptionKind::flag, "", "no", "json"});
  spec.options.back().persistent = false;
  return spec;
}

// Every test starts in an empty folder, with no variable of ours set.
class OptionsTest : public testing::Test {
 protected:
  OptionsTest() : before_(std::filesystem::current_path()) {
    std::filesystem::current_path(folder_.path());
    setenv("HOME", (folder_ / "home").c_str(), 1);
    for (const char* name : {"XDG_CONFIG_HOME", "CRYORED_CONFIG", "CRYORED_LAMBDA", "CRYORED_THREADS", "CRYORED_PRIOR",
                             "CRYORED_SKIP_GRIDDING", "CRYORED_DEVICE", "CRYORED_CONFIDENCE_RANGE", "CRYORED_JSON"})
      unsetenv(name);
  }
  ~OptionsTest() override {
    unsetenv("CRYORED_LAMBDA");
    unsetenv("CRYORED_CONFIG");
    unsetenv("CRYORED_SKIP_GRIDDING");
    unsetenv("CRYORED_JSON");
    std::filesystem::current_path(before_);
  }
  static Settings parse(const std::vector<std::string>& words) {
    std::vector<OptionSpec> persistent;
    for (const auto& option : example().options)
      if (option.persistent) persistent.push_back(option);
    persistent.push_back({"mask-of-another-command", OptionKind::path, "FILE", "", "mask"});
    return parse_options(example(), words, persistent);
  }
  static std::string failure(const std::vector<std::string>& words) {
    try {
      parse(words);
    } catch (const UsageError& error) {
      EXPECT_EQ(error.exit_code(), 2);
      return error.what();
    }
    return "no error";
  }
  void user_config(const std::string& text) {
    std::filesystem::create_directories(folder_ / "home/.config/cryored");
    write_file(folder_ / "home/.config/cryored/cryored.conf", text);
  }

  ScratchFolder folder_;
  std::filesystem::path before_;
};

TEST_F(OptionsTest, DefaultsHoldWhenNothingIsGiven) {
  const Settings settings = parse({"a.star"});
  EXPECT_EQ(settings.arguments, std::vector<std::string>{"a.star"});
  EXPECT_FALSE(settings.has("lambda"));
  EXPECT_EQ(settings.optional_number("lambda"), std::nullopt);
  EXPECT_EQ(settings.integer("threads"), 2);
  EXPECT_EQ(settings.range("confidence-range"), std::make_pair(10.0, 4.5));
  EXPECT_FALSE(settings.flag("skip-gridding"));
  EXPECT_FALSE(settings.given("threads"));
}

TEST_F(OptionsTest, EachSourceIsStrongerThanTheOneBefore) {
  user_config("lambda = 0.1\nthreads = 7\n");
  EXPECT_EQ(parse({"a.star"}).number("lambda"), 0.1);
  EXPECT_EQ(parse({"a.star"}).source("lambda").text, folder_ / "home/.config/cryored/cryored.conf:1");
  write_file(folder_ / "cryored.conf", "# project\n\n  lambda=0.2  \n");
  EXPECT_EQ(parse({"a.star"}).number("lambda"), 0.2);
  EXPECT_EQ(parse({"a.star"}).source("lambda").text, "cryored.conf:3");
  EXPECT_EQ(parse({"a.star"}).integer("threads"), 7) << "the user's file still holds for other keys";
  setenv("CRYORED_LAMBDA", "0.3", 1);
  EXPECT_EQ(parse({"a.star"}).number("lambda"), 0.3);
  EXPECT_EQ(parse({"a.star"}).source("lambda").text, "environment variable CRYORED_LAMBDA");
  EXPECT_EQ(parse({"--lambda", "0.4", "a.star"}).number("lambda"), 0.4);
  EXPECT_EQ(parse({"--lambda=0.4", "a.star"}).source("lambda").text, "command line");
}

TEST_F(OptionsTest, NamedConfigFileReplacesTheOthers) {
  user_config("threads = 7\n");
  write_file(folder_ / "cryored.conf", "threads = 8\n");
  write_file(folder_ / "named.conf", "lambda = 0.25\n");
  setenv("CRYORED_CONFIG", (folder_ / "named.conf").c_str(), 1);
  EXPECT_EQ(parse({"a.star"}).integer("threads"), 2);
  EXPECT_EQ(parse({"a.star"}).number("lambda"), 0.25);
  setenv("CRYORED_CONFIG", (folder_ / "gone.conf").c_str(), 1);
  EXPECT_NE(failure({"a.star"}).find(folder_ / "gone.conf"), std::string::npos);
}

TEST_F(OptionsTest, ConfigFileMayBeginWithAByteOrderMark) {
  write_file(folder_ / "cryored.conf", "\xEF\xBB\xBFthreads = 8\n");
  EXPECT_EQ(parse({"a.star"}).integer("threads"), 8);
}

TEST_F(OptionsTest, WordsBeforeAndAfterTheStarAreAlike) {
  // RELION puts the words of its variable before the STAR.
  EXPECT_EQ(parse({"--lambda", "0.5", "--prior", "red", "a.star"}).arguments, std::vector<std::string>{"a.star"});
  EXPECT_EQ(parse({"a.star", "--prior=red"}).text("prior"), "red");
  EXPECT_EQ(parse({"--skip-gridding", "a.star"}).arguments, std::vector<std::string>{"a.star"});
  EXPECT_EQ(parse({"--", "--odd name.star"}).arguments, std::vector<std::string>{"--odd name.star"});
}

TEST_F(OptionsTest, FlagsCanBeTakenBack) {
  setenv("CRYORED_SKIP_GRIDDING", "yes", 1);
  EXPECT_TRUE(parse({"a.star"}).flag("skip-gridding"));
  EXPECT_FALSE(parse({"--no-skip-gridding", "a.star"}).flag("skip-gridding"));
  setenv("CRYORED_SKIP_GRIDDING", "maybe", 1);
  EXPECT_NE(failure({"a.star"}).find("environment variable CRYORED_SKIP_GRIDDING"), std::string::npos);
}

TEST_F(OptionsTest, EmptyVariableCountsAsUnset) {
  setenv("CRYORED_LAMBDA", "", 1);
  EXPECT_FALSE(parse({"a.star"}).has("lambda"));
}

TEST_F(OptionsTest, OptionsThatAreNotPersistentComeFromTheCommandLineOnly) {
  setenv("CRYORED_JSON", "yes", 1);
  EXPECT_FALSE(parse({"a.star"}).flag("json"));
  write_file(folder_ / "cryored.conf", "json = yes\n");
  EXPECT_NE(failure({"a.star"}).find("cryored.conf:1: unknown key"), std::string::npos);
}

TEST_F(OptionsTest, ValuesForOtherCommandsDoNotReachOptionsOfTheCommandLine) {
  // "json" is another command's persistent option here, and the example's own is not.
  OptionSpec json{"json", OptionKind::flag, "", "no", "json of another command"};
  write_file(folder_ / "cryored.conf", "json = yes\n");
  EXPECT_FALSE(parse_options(example(), {"a.star"}, {json}).flag("json"));
  EXPECT_TRUE(parse_options(example(), {"--json", "a.star"}, {json}).flag("json"));
}

TEST_F(OptionsTest, AProgramOfTheCommandLineReadsNoConfigFile) {
  CommandSpec tool = example();
  for (OptionSpec& option : tool.options) option.persistent = false;
  write_file(folder_ / "cryored.conf", "lambda = 0.5\nnonsense\n");
  EXPECT_FALSE(parse_options(tool, {"a.star"}, {}).has("lambda"));
}

TEST_F(OptionsTest, AForgottenValueDoesNotTakeTheNextOption) {
  CommandSpec spec = example();
  spec.options.push_back({"plot", OptionKind::path, "FILE", "", "picture"});
  const auto message = [&](const std::vector<std::string>& words) -> std::string {
    try {
      return parse_options(spec, words, {}).text("plot");
    } catch (const UsageError& error) {
      return error.what();
    }
  };
  for (const char* next : {"--json", "--no-json", "--lambda=1", "--"}) {
    const std::string told = message({"a.star", "--plot", next});
    EXPECT_NE(told.find("--plot needs a value"), std::string::npos) << told;
    EXPECT_NE(told.find("--plot='" + std::string(next) + "'"), std::string::npos) << told;
  }
  EXPECT_EQ(message({"a.star", "--plot", "--cpu"}), "--cpu") << "an option of another program";
  EXPECT_EQ(message({"a.star", "--plot=--json"}), "--json");
  for (const char* words : {"--lambda=1 --device cpu", "--json --cpu"})
    EXPECT_EQ(message({"a.star", "--plot", words}), words) << "words for another program, in quotes";
  EXPECT_EQ(message({"a.star", "--plot", "-1"}), "-1");
}

TEST_F(OptionsTest, ConfigFileMayServeOtherCommands) {
  write_file(folder_ / "cryored.conf", "mask-of-another-command = m.mrc\n");
  EXPECT_NO_THROW(parse({"a.star"}));
}

TEST_F(OptionsTest, ConfigFaultsNameFileAndLine) {
  write_file(folder_ / "cryored.conf", "\nlambda 0.5\n");
  EXPECT_NE(failure({"a.star"}).find("cryored.conf:2: found lambda 0.5"), std::string::npos) << failure({"a.star"});
  write_file(folder_ / "cryored.conf", "lamda = 0.5\n");
  EXPECT_NE(failure({"a.star"}).find("did you mean lambda?"), std::string::npos);
  write_file(folder_ / "cryored.conf", "lambda = 0.5\nlambda = 0.6\n");
  EXPECT_NE(failure({"a.star"}).find("cryored.conf:2"), std::string::npos);
  write_file(folder_ / "cryored.conf", "lambda = 1.5\n");
  EXPECT_NE(failure({"a.star"}).find("cryored.conf:1: lambda: found 1.5; allowed: a number from 0 to 1"),
            std::string::npos)
      << failure({"a.star"});
  // A value that a stronger source overrides is still wrong in the file.
  EXPECT_NE(failure({"--lambda", "0.5", "a.star"}).find("cryored.conf:1"), std::string::npos);
}

TEST_F(OptionsTest, BadValuesOnTheCommandLine) {
  const std::vector<std::vector<std::string>> bad{{"--lambda", "0,5", "a.star"},
                                                  {"--lambda", "nan", "a.star"},
                                                  {"--lambda", "-0.1", "a.star"},
                                                  {"--lambda", "", "a.star"},
                                                  {"--lambda", "0.5x", "a.star"},
                                                  {"--threads", "0", "a.star"},
                                                  {"--threads", "2.5", "a.star"},
                                                  {"--threads", "99999999999999999999", "a.star"},
                                                  {"--prior", "bayes", "a.star"},
                                                  {"--device", "gpu", "a.star"},
                                                  {"--device", "cuda:x", "a.star"},
                                                  {"--device", "cuda:-1", "a.star"},
                                                  {"--confidence-range", "4.5:10", "a.star"},
                                                  {"--confidence-range", "10", "a.star"},
                                                  {"--confidence-range", "10:0", "a.star"},
                                                  {"--memory-limit", "12 G", "a.star"},
                                                  {"--memory-limit", "12T", "a.star"},
                                                  {"--memory-limit", "0", "a.star"},
                                                  {"--memory-limit", "nan", "a.star"},
                                                  {"--memory-limit", "-1G", "a.star"},
                                                  {"--gpus", "0,", "a.star"},
                                                  {"--gpus", "0 1", "a.star"},
                                                  {"--gpus", "-1", "a.star"},
                                                  {"--gpus", "128", "a.star"}};
  for (const auto& words : bad) {
    const std::string message = failure(words);
    EXPECT_NE(message.find("command line: " + words[0]), std::string::npos) << words[1] << ": " << message;
    EXPECT_NE(message.find("allowed: "), std::string::npos) << message;
  }
}

TEST_F(OptionsTest, SizesAndListsOfGpusAreReadAsWritten) {
  for (const char* size : {"1", "800M", "1.5G", "4096K"})
    EXPECT_EQ(parse({"--memory-limit", size, "a.star"}).text("memory-limit"), size);
  EXPECT_EQ(parse({"a.star"}).size("memory-limit"), 0u);
  EXPECT_EQ(parse({"--memory-limit", "1.5G", "a.star"}).size("memory-limit"), 1610612736u);
  EXPECT_EQ(parse({"--memory-limit", "4096K", "a.star"}).size("memory-limit"), 4194304u);
  EXPECT_EQ(parse({"--gpus", "0,3", "a.star"}).indices("gpus"), (std::vector<int>{0, 3}));
  for (const char* list : {"0", "0,1", "3,127"}) EXPECT_EQ(parse({"--gpus", list, "a.star"}).text("gpus"), list);
}

TEST_F(OptionsTest, MisuseIsExplained) {
  EXPECT_NE(failure({"--lamda", "0.5", "a.star"}).find("did you mean --lambda?"), std::string::npos);
  EXPECT_NE(failure({"-x", "a.star"}).find("unknown option"), std::string::npos);
  EXPECT_NE(failure({"--lambda"}).find("--lambda"), std::string::npos);
  EXPECT_NE(failure({"--lambda", "0.1", "--lambda", "0.2", "a.star"}).find("more than once"), std::string::npos);
  EXPECT_NE(failure({"--skip-gridding=yes", "a.star"}).find("skip-gridding"), std::string::npos);
  EXPECT_NE(failure({}).find("arguments: found none"), std::string::npos);
  // A path with a space, which the shell has taken apart.
  EXPECT_NE(failure({"my", "job.star"}).find("2 (my, job.star)"), std::string::npos);
  // Abbreviations are not guessed.
  EXPECT_NE(failure({"--lamb", "0.1", "a.star"}).find("unknown option"), std::string::npos);
}

TEST_F(OptionsTest, HelpIsShownWhateverElseIsWrong) {
  write_file(folder_ / "cryored.conf", "nonsense\n");
  EXPECT_TRUE(parse({"--help"}).help);
  EXPECT_TRUE(parse({"--unknown", "-h"}).help);
  EXPECT_EQ(failure({"--", "--help"}).find("cryored.conf:1"), 0u) << "after -- it is a file name";
}

TEST_F(OptionsTest, HelpTextFitsAndNamesEveryOption) {
  const std::string text = help_text(example());
  for (const auto& option : example().options) EXPECT_NE(text.find(option.name), std::string::npos);
  EXPECT_NE(text.find("(default: 10:4.5)"), std::string::npos);
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 100u) << line;
}

TEST_F(OptionsTest, NonAsciiValuesPassUnchanged) {
  EXPECT_EQ(parse({"Läufe/プロジェクト.star"}).arguments[0], "Läufe/プロジェクト.star");
}

TEST(NearestName, FindsTyposOnly) {
  EXPECT_EQ(nearest_name("thread", {"threads", "lambda"}), "threads");
  EXPECT_EQ(nearest_name("zzzzzz", {"threads", "lambda"}), "");
}

TEST(EnvironmentName, IsUpperCaseWithUnderscores) {
  EXPECT_EQ(environment_name("fsc-threshold"), "CRYORED_FSC_THRESHOLD");
}

}  // namespace
}  // namespace cryored
