#pragma once
#include <cmath>
#include <cstdio>
#include <string>

namespace cryored {

/// "1:05:09", hours without an upper limit.
inline std::string clock_text(double seconds) {
  const long s = std::lround(seconds);
  char text[40];
  std::snprintf(text, sizeof text, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
  return text;
}

}  // namespace cryored
