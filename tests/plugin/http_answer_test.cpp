// The strict reader of the daemon's answer.

#include "plugin/http_answer.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace cryored::plugin {
namespace {

const std::string chunked =
    "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\ntransfer-encoding: Chunked\r\n\r\n"
    "5\r\n{\"a\":\r\n4;x=y\r\n1}\n{\r\n2\r\n}\n\r\n0\r\nTrailer: t\r\n\r\n";

std::vector<std::string> lines_of(const std::string& text, std::size_t piece, bool* complete = nullptr) {
  HttpAnswer answer;
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size(); at += piece) {
    answer.feed(text.data() + at, std::min(piece, text.size() - at));
    while (auto line = answer.next_line()) lines.push_back(*line);
  }
  if (complete) *complete = answer.complete();
  return lines;
}

TEST(HttpAnswer, ChunksInPiecesOfAnySize) {
  for (std::size_t piece = 1; piece <= chunked.size(); ++piece) {
    bool complete = false;
    EXPECT_EQ(lines_of(chunked, piece, &complete), (std::vector<std::string>{"{\"a\":1}", "{}"})) << piece;
    EXPECT_TRUE(complete);
  }
}

TEST(HttpAnswer, CutShortIsNotComplete) {
  for (std::size_t size = 0; size < chunked.size(); ++size) {
    bool complete = true;
    lines_of(chunked.substr(0, size), 7, &complete);
    EXPECT_FALSE(complete) << size;
  }
}

TEST(HttpAnswer, ErrorWithALength) {
  HttpAnswer answer;
  const std::string text = "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 13\r\n\r\n{\"error\":\"x\"}";
  answer.feed(text.data(), text.size());
  EXPECT_EQ(answer.status(), 426);
  EXPECT_TRUE(answer.complete());
  EXPECT_EQ(answer.rest(), "{\"error\":\"x\"}");
}

TEST(HttpAnswer, WhatIsNoAnswerIsRefused) {
  const std::string head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n";
  for (const std::string& text : std::vector<std::string>{
           "SSH-2.0-OpenSSH\r\n\r\n", "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", "\r\n\r\n",
           "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 99 X\r\nContent-Length: 0\r\n\r\n",
           "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
           "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999\r\n\r\n", head + "Content-Length: 3\r\n\r\nabc",
           head + "Transfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
           head + "no colon\r\n\r\n", head + "\r\nxyz\r\n", head + "\r\n2\r\nabc\r\n", head + "\r\n2\nab",
           head + "\r\n0\r\n\r\nmore", std::string(20000, 'a')}) {
    EXPECT_THROW(lines_of(text, text.size()), ProtocolError) << text.substr(0, 80);
  }
}

TEST(HttpAnswer, LinesHaveALimit) {
  HttpAnswer answer;
  const std::string head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1000000\r\n";
  answer.feed(head.data(), head.size());
  const std::string piece(1 << 20, 'x');
  EXPECT_THROW(for (int i = 0; i < 8; ++i) answer.feed(piece.data(), piece.size()), ProtocolError);
}

}  // namespace
}  // namespace cryored::plugin
