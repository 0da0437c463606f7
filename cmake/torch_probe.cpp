// Built and run by ./dev setup with a LibTorch it found on the machine: shows that headers, C++ ABI and libraries fit.
#include <ATen/ATen.h>

#include <cstdio>
#include <string>

int main() {
  const at::Tensor sum = at::ones({2, 3}).sum();
  // A function that takes a std::string, so that a library of the old ABI does not link.
  const std::string text = at::toString(sum.scalar_type()) + sum.toString();
  std::printf("%s %g\n", text.c_str(), sum.item<double>());
  return sum.item<double>() == 6.0 ? 0 : 1;
}
