// What the plugin takes out of its words, and what it hands on.

#include "plugin/settings.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>

#include "core/base/error.hpp"
#include "tests/cli/process.hpp"

namespace cryored::plugin {
namespace {

using Words = std::vector<std::string>;

class PluginSettings : public testing::Test {
 protected:
  PluginSettings() { clear(); }
  ~PluginSettings() override { clear(); }
  void clear() {
    for (const char* name :
         {"CRYORED_NO_DAEMON", "CRYORED_DAEMON_NAME", "CRYORED_VIA_FILES", "CRYORED_CONNECT_TIMEOUT"})
      unsetenv(name);
    setenv("CRYORED_CONFIG", config().c_str(), 1);
    cryored_test::write_file(config(), "");
  }
  std::string config() const { return scratch_ / "conf"; }
  cryored_test::ScratchFolder scratch_;
};

TEST_F(PluginSettings, OwnWordsAreStripped) {
  const auto settings = read_settings(
      {"--no-daemon", "--lambda", "0.5", "--daemon-name=x", "--connect-timeout", "2.5", "a.star", "--", "--via-files"});
  EXPECT_TRUE(settings.no_daemon);
  EXPECT_FALSE(settings.via_files);
  EXPECT_EQ(settings.daemon_name, "x");
  EXPECT_EQ(settings.connect_timeout, 2.5);
  EXPECT_EQ(settings.words, (Words{"--lambda", "0.5", "a.star", "--", "--via-files"}));
}

TEST_F(PluginSettings, WordsOverVariablesOverConfigFile) {
  cryored_test::write_file(config(), "no-daemon = yes\ndaemon-name = file\nlambda = nonsense for cryored to refuse\n");
  EXPECT_TRUE(read_settings({"a.star"}).no_daemon);
  EXPECT_EQ(read_settings({"a.star"}).daemon_name, "file");
  setenv("CRYORED_DAEMON_NAME", "variable", 1);
  setenv("CRYORED_NO_DAEMON", "off", 1);
  EXPECT_EQ(read_settings({"a.star"}).daemon_name, "variable");
  EXPECT_FALSE(read_settings({"a.star"}).no_daemon);
  EXPECT_EQ(read_settings({"--daemon-name", "word", "a.star"}).daemon_name, "word");
}

TEST_F(PluginSettings, BadValuesNameTheirSource) {
  const auto message = [](const Words& words) -> std::string {
    try {
      read_settings(words);
    } catch (const UsageError& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_NE(message({"--connect-timeout", "soon", "a.star"}).find("--connect-timeout"), std::string::npos);
  EXPECT_NE(message({"--no-daemon", "--no-daemon"}).find("more than once"), std::string::npos);
  EXPECT_NE(message({"a.star", "--daemon-name"}).find("no value"), std::string::npos);
  EXPECT_NE(message({"--daemon-name", "--lambda", "0.5", "a.star"}).find("no value"), std::string::npos);
  EXPECT_NE(message({"--no-daemon", "--via-files"}).find("both"), std::string::npos);
  cryored_test::write_file(config(), "\nheartbeat-timeout = 1\n");
  EXPECT_NE(message({"a.star"}).find(config() + ":2"), std::string::npos);
}

TEST_F(PluginSettings, APipeAsConfigFileIsLeftToTheHelper) {
  setenv("CRYORED_CONFIG", (scratch_ / "pipe").c_str(), 1);
  ASSERT_EQ(mkfifo((scratch_ / "pipe").c_str(), 0600), 0);
  EXPECT_TRUE(read_settings({"a.star"}).only_helper);
}

}  // namespace
}  // namespace cryored::plugin
