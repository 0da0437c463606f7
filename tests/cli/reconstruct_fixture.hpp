#pragma once
// Base of the tests that run cryored-reconstruct on synthetic requests.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/cli/process.hpp"
#include "tests/cli/request_files.hpp"

namespace cryored_test {

/// Paths of the programs under test.
inline std::string plugin() { return CRYORED_TEST_BIN "/cryored-reconstruct"; }
inline std::string cryored() { return CRYORED_TEST_BIN "/cryored"; }

class ReconstructTest : public testing::Test {
 protected:
  ReconstructTest() { files.folder = scratch.path(); }

  /// The plugin on the request, with these words before the STAR as RELION puts them.
  Invocation call(std::vector<std::string> words) const {
    Invocation invocation;
    invocation.words = {plugin()};
    for (auto& word : words) invocation.words.push_back(std::move(word));
    invocation.words.push_back(files.star());
    invocation.folder = scratch.path();
    return invocation;
  }

  /// Exit 1, one message that holds every one of `parts`, and nothing left behind: no result, no
  /// record, no temporary file.
  void expect_failure(const Invocation& invocation, const std::vector<std::string>& parts, int code = 1) const {
    const auto before = scratch.names();
    const Outcome outcome = run(invocation);
    EXPECT_EQ(outcome.code, code) << "signal " << outcome.signal << ", stderr: " << outcome.err;
    EXPECT_EQ(outcome.out, "");
    EXPECT_EQ(outcome.err.rfind("cryored: error: ", 0), 0u) << outcome.err;
    EXPECT_EQ(outcome.err.find('\n'), outcome.err.size() - 1) << "one line: " << outcome.err;
    for (const auto& part : parts)
      EXPECT_NE(outcome.err.find(part), std::string::npos) << "expected \"" << part << "\" in: " << outcome.err;
    EXPECT_EQ(scratch.names(), before) << "files were left behind or removed";
    EXPECT_FALSE(exists(files.result()));
  }

  ScratchFolder scratch;
  RequestFiles files;
};

}  // namespace cryored_test
