// A stand-in for NVIDIA's libcuda.so.1: machines with GPUs good and bad, without one.
// FAKE_CUDA = "<code of cuInit>:<driver version>:<number of GPUs>:<code of cuDeviceGetName>".

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {
struct Scenario {
  int init = 0, version = 13000, count = 1, name = 0;
};
Scenario scenario() {
  Scenario s;
  if (const char* text = std::getenv("FAKE_CUDA"))
    std::sscanf(text, "%d:%d:%d:%d", &s.init, &s.version, &s.count, &s.name);
  return s;
}
}  // namespace

extern "C" {
int cuInit(unsigned) { return scenario().init; }
int cuDriverGetVersion(int* version) {
  *version = scenario().version;
  return 0;
}
int cuDeviceGetCount(int* count) {
  *count = scenario().count;
  return 0;
}
int cuDeviceGet(int* device, int ordinal) {
  *device = ordinal;
  return 0;
}
int cuDeviceGetName(char* name, int length, int device) {
  std::snprintf(name, static_cast<std::size_t>(length), "Fake GPU model %d", device);
  return scenario().name;
}
int cuDeviceTotalMem_v2(std::size_t* bytes, int) {
  *bytes = std::size_t{24} << 30;
  return 0;
}
int cuDeviceGetAttribute(int* value, int attribute, int) {
  *value = attribute == 75 ? 8 : attribute == 76 ? 6 : -1;
  return 0;
}
int cuDeviceGetUuid(unsigned char* uuid, int device) {
  for (int i = 0; i < 16; ++i) uuid[i] = static_cast<unsigned char>(16 * i + device);
  return 0;
}
int cuGetErrorName(int, const char** text) {
  *text = "CUDA_ERROR_FAKE";
  return 0;
}
int cuGetErrorString(int, const char** text) {
  *text = "fake failure";
  return 0;
}
}
