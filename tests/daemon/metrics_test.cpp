// Prometheus text against the rules that promtool checks.

#include "daemon/metrics.hpp"

#include <gtest/gtest.h>

#include <map>
#include <regex>
#include <set>

#include "tests/daemon/outside_testing.hpp"

namespace cryored_test {
namespace {

using cryored::daemon::metrics_text;

TEST(Metrics, FollowTheFormatAndTheNamingRules) {
  const std::string text = metrics_text(busy_snapshot());
  ASSERT_EQ(text.back(), '\n');
  const std::regex help("# HELP ([a-z_]+) [^\n]*\\."), type("# TYPE ([a-z_]+) (gauge|counter)");
  const std::regex sample(R"re(([a-z_]+)(\{([a-z0-9_]+="([^"\\\n]|\\["\\n])*",?)+\})? (-?[0-9.]+(e[-+][0-9]+)?))re");
  std::istringstream lines(text);
  std::string family, kind, expected;
  std::set<std::string> families, series;
  for (std::string line; std::getline(lines, line);) {
    std::smatch part;
    if (std::regex_match(line, part, help)) {
      expected = part[1];
      EXPECT_TRUE(families.insert(expected).second) << "a family twice: " << line;
    } else if (std::regex_match(line, part, type)) {
      EXPECT_EQ(part[1], expected) << "TYPE follows HELP";
      family = part[1];
      kind = part[2];
      const bool total = family.size() > 6 && family.substr(family.size() - 6) == "_total";
      EXPECT_EQ(kind == "counter", total) << "counters, and only they, end in _total: " << family;
      EXPECT_FALSE(std::regex_search(family, std::regex("milli|minutes|hours|_ms|kilo|mega|giga|angstrom")))
          << "base units: " << family;
    } else {
      ASSERT_TRUE(std::regex_match(line, part, sample)) << line;
      EXPECT_EQ(part[1], family) << line;
      EXPECT_TRUE(series.insert(part[1].str() + part[2].str()).second) << "a series twice: " << line;
    }
  }
  EXPECT_GT(families.size(), 25u);
}

TEST(Metrics, ValuesAreThoseOfTheSnapshot) {
  const std::string text = metrics_text(busy_snapshot());
  for (const char* line :
       {"cryored_requests{state=\"running\"} 1\n", "cryored_requests{state=\"waiting\"} 1\n",
        "cryored_requests_finished_total{outcome=\"done\"} 6\n", "cryored_memory_reserved_bytes 1.2e+09\n",
        "cryored_device_busy{device=\"cuda:0\"} 1\n", "cryored_device_busy_seconds_total{device=\"cuda:0\"} 12.25\n",
        "cryored_device_info{device=\"cuda:0\",description=\"GPU 0: \\\"quoted\\\" \\\\ card\"} 1\n",
        "cryored_network_passes_total{device=\"cuda:0\",network=\"unet\",sha256=\"abcd\"} 9\n"})
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
  const std::regex lambda("cryored_job_lambda\\{[^}]*\\} 0\\.412\n"),
      resolution("cryored_job_resolution_meters\\{[^}]*\\} 7\\.5e-10\n");
  EXPECT_TRUE(std::regex_search(text, lambda));
  EXPECT_TRUE(std::regex_search(text, resolution)) << text;
  EXPECT_NE(text.find("job=\"/p/Refine3D/job\\n012\\\\run\\\""), std::string::npos) << "escaped";
}

TEST(Metrics, AnIdleDaemonHasNoSeriesOfJobs) {
  const std::string text = metrics_text({});
  EXPECT_EQ(text.find("cryored_job_maps_total{"), std::string::npos);
  EXPECT_NE(text.find("cryored_requests_submitted_total 0\n"), std::string::npos);
}

}  // namespace
}  // namespace cryored_test
