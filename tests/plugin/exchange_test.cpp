// The files of a request through files.

#include "daemon/exchange.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <random>

#include "tests/cli/process.hpp"

namespace cryored::daemon {
namespace {

TEST(Exchange, NamesBesideTheStar) {
  EXPECT_EQ(request_file("a b/run_it001.star"), "a b/run_it001.cryored-request.json");
  EXPECT_EQ(answer_file("x.star", "0a", 2), "x.cryored-answer-0a-2.json");
  EXPECT_TRUE(is_request_file("x.cryored-request.json"));
  EXPECT_FALSE(is_request_file(".x.cryored-request.json.12.0.tmp"));
  EXPECT_FALSE(is_request_file(".x.cryored-request.json")) << "a temporary file";
  EXPECT_FALSE(is_request_file(".cryored-request.json"));
  EXPECT_EQ(stem_of_request("d/x.cryored-request.json"), "d/x");
}

TEST(Exchange, RequestsAndAnswersRoundTrip) {
  FileRequest request;
  request.nonce = random_digits(32);
  request.words = {"Läufe x.star", "--lambda", "0.5"};
  request.environment = {{"CRYORED_LAMBDA", "1"}};
  request.star_size = 1234;
  request.job_root_levels = 2;
  request.host = "node";
  request.pid = 7;
  request.umask = 027;
  const auto again = parse_request(to_text(request));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->nonce, request.nonce);
  EXPECT_EQ(again->words, request.words);
  EXPECT_EQ(again->environment, request.environment);
  EXPECT_EQ(again->star_size, 1234u);
  EXPECT_EQ(again->job_root_levels, 2);
  EXPECT_EQ(again->umask, 027u);
  FileAnswer answer;
  answer.nonce = request.nonce;
  answer.state = "done";
  answer.exit = 2;
  answer.err = "not UTF-8: \xff\n";
  answer.beat = 9;
  const auto read = parse_answer(to_text(answer));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->exit, 2);
  EXPECT_EQ(read->beat, 9u);
  EXPECT_EQ(read->nonce, request.nonce);
}

TEST(Exchange, ARequestCutShortAnywhereIsNone) {
  FileRequest request;
  request.nonce = random_digits(32);
  request.words = {"x.star"};
  const std::string text = to_text(request);
  for (std::size_t size = 0; size + 2 < text.size(); ++size) EXPECT_FALSE(parse_request(text.substr(0, size))) << size;
}

TEST(Exchange, DamagedFilesAreNoneOrWhole) {
  FileRequest request;
  request.nonce = random_digits(32);
  request.words = {"x.star", "--lambda", "0.5"};
  request.environment = {{"CRYORED_LAMBDA", "1"}};
  FileAnswer answer;
  answer.nonce = request.nonce;
  answer.state = "done";
  std::mt19937 random(7);
  for (int i = 0; i < 20000; ++i) {
    std::string text = i % 2 == 0 ? to_text(request) : to_text(answer);
    for (unsigned k = random() % 4 + 1; k > 0; --k) {
      const std::size_t at = random() % text.size();
      if (random() % 3 == 0)
        text.erase(at, random() % 9);
      else if (random() % 2 == 0)
        text[at] = static_cast<char>(random());
      else
        text.insert(at, text.substr(random() % text.size(), random() % 20));
    }
    if (const auto read = parse_request(text)) {
      EXPECT_EQ(read->nonce.size(), 32u);
      EXPECT_GE(read->job_root_levels, 0);
    }
    if (const auto read = parse_answer(text)) {
      EXPECT_GE(read->exit, 0);
      EXPECT_LE(read->exit, 255);
    }
  }
}

TEST(Exchange, WrongFieldsAreRefused) {
  const std::string nonce(32, 'a');
  for (const std::string& text : std::vector<std::string>{
           "[]", "{}", "{\"protocol\":1,\"nonce\":\"../x\"}",
           "{\"protocol\":1,\"nonce\":\"" + nonce + "\",\"words\":[1],\"star_size\":1,\"job_root_levels\":0}",
           "{\"protocol\":1,\"nonce\":\"" + nonce + "\",\"words\":[],\"star_size\":-1,\"job_root_levels\":0}",
           "{\"protocol\":1,\"nonce\":\"" + nonce + "\",\"words\":[],\"star_size\":1,\"job_root_levels\":-1}"})
    EXPECT_FALSE(parse_request(text)) << text;
  const auto later = parse_request("{\"protocol\":2,\"nonce\":\"" + nonce + "\",\"unheard\":[]}");
  ASSERT_TRUE(later) << "another version can be answered";
  EXPECT_EQ(later->protocol, 2);
}

TEST(Exchange, SmallFilesOnlyAndNoLinks) {
  const cryored_test::ScratchFolder scratch;
  cryored_test::write_file(scratch / "file", "text");
  std::filesystem::create_symlink(scratch / "file", scratch / "link");
  EXPECT_EQ(read_small_file(scratch / "file"), "text");
  EXPECT_FALSE(read_small_file(scratch / "link"));
  EXPECT_FALSE(read_small_file(scratch / "file", 3));
  EXPECT_FALSE(read_small_file(scratch.path()));
  EXPECT_FALSE(read_small_file(scratch / "missing"));
}

}  // namespace
}  // namespace cryored::daemon
