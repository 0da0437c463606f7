#include "tests/cli/request_files.hpp"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "tests/cli/process.hpp"

namespace cryored_test {

void write_mrc_file(const std::string& path, int nx, int ny, int nz, const std::vector<float>& data,
                    double pixel_size) {
  std::vector<std::int32_t> header(256, 0);
  const auto put = [&](int word, float value) { std::memcpy(&header[static_cast<std::size_t>(word)], &value, 4); };
  const int dimensions[] = {nx, ny, nz};
  for (int axis = 0; axis < 3; ++axis) {
    const auto at = static_cast<std::size_t>(axis);
    header[at] = header[7 + at] = dimensions[axis];
    put(10 + axis, static_cast<float>(pixel_size * dimensions[axis]));
    put(13 + axis, 90.f);
    header[16 + at] = axis + 1;
  }
  header[3] = 2;
  header[22] = 1;  // volume
  std::memcpy(&header[52], "MAP ", 4);
  header[53] = 0x4444;
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(header.data()), 1024);
  file.write(reinterpret_cast<const char*>(data.data()), static_cast<std::streamsize>(4 * data.size()));
  if (!file.flush()) throw std::runtime_error("cannot write " + path);
}

std::vector<float> read_mrc_data(const std::string& path) {
  const std::string bytes = read_file(path);
  if (bytes.size() < 1024) throw std::runtime_error(path + " is no MRC file");
  std::vector<float> data((bytes.size() - 1024) / 4);
  std::memcpy(data.data(), bytes.data() + 1024, 4 * data.size());
  return data;
}

namespace {
void patch(const std::string& path, long offset, const void* bytes) {
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(offset);
  file.write(static_cast<const char*>(bytes), 4);
  if (!file.flush()) throw std::runtime_error("cannot patch " + path);
}
}  // namespace

void patch_float(const std::string& path, long index, float value) { patch(path, 1024 + 4 * index, &value); }
void patch_header(const std::string& path, int word, int value) {
  const std::int32_t bits = value;
  patch(path, 4L * word, &bits);
}

std::string RequestFiles::star_text() const {
  const std::string place = (written_folder.empty() ? folder : written_folder) + "/" + stem + "_external_reconstruct";
  std::vector<std::pair<std::string, std::string>> values{
      {"rlnExtReconsDataReal", place + "_data_real.mrc"},
      {"rlnExtReconsDataImag", place + "_data_imag.mrc"},
      {"rlnExtReconsWeight", place + "_weight.mrc"},
      {"rlnExtReconsResult", place + ".mrc"},
      {"rlnExtReconsResultStarfile", place + "_out.star"},
      {"rlnTau2FudgeFactor", "1.000000"},
      {"rlnPaddingFactor", std::to_string(padding) + ".000000"},
      {"rlnReferenceDimensionality", std::to_string(dimensionality)},
      {"rlnOriginalImageSize", std::to_string(box)},
      {"rlnCurrentImageSize", std::to_string(current_size)}};
  if (pixel_size > 0) {
    values.emplace_back("rlnPixelSize", std::to_string(pixel_size));
    values.emplace_back("rlnParticleDiameter", std::to_string(particle_diameter));
  }
  std::ostringstream out;
  out << "\n# version 30001\n\ndata_external_reconstruct_general\n\n";
  for (const auto& [label, value] : values) {
    const auto replaced = general.find(label);
    const std::string& text = replaced == general.end() ? value : replaced->second;
    if (text.empty()) continue;
    const bool quote = text.find(' ') != std::string::npos;
    out << "_" << label << "   " << (quote ? "\"" + text + "\"" : text) << "\n";
  }
  out << "\n";
  if (!with_tau2) return out.str();
  out << "\n# version 30001\n\ndata_external_reconstruct_tau2\n\nloop_ \n_rlnSpectralIndex #1 \n"
         "_rlnReferenceTau2 #2 \n_rlnGoldStandardFsc #3 \n";
  const double edge = pixel_size > 0 ? pixel_size : 3;
  for (int s = 0; s <= box / 2; ++s) {
    const double frequency = s / (box * edge);
    double fsc = 0;
    if (fsc_crossing > 0 && 2 * s <= current_size)
      // 0.143 exactly at the crossing; 1 at the origin
      fsc = std::pow(0.143, std::pow(frequency * fsc_crossing, 4));
    const double tau2 = 2 * s <= current_size ? 10 * std::exp(-frequency * frequency * 200) : 0;
    out << s << " " << tau2 << " " << fsc << " \n";
  }
  out << "\n";
  return out.str();
}

void RequestFiles::write() const {
  const int p = padded(), half = p / 2 + 1, depth = dimensionality == 3 ? p : 1;
  const std::size_t size =
      static_cast<std::size_t>(half) * static_cast<std::size_t>(p) * static_cast<std::size_t>(depth);
  std::vector<float> real(size), imag(size, 0.f), weight(size);
  const double edge = pixel_size > 0 ? pixel_size : 3, sigma = 12;
  const double radius = padding * (current_size / 2.0);
  std::size_t i = 0;
  for (int z = 0; z < depth; ++z)
    for (int y = 0; y < p; ++y)
      for (int x = 0; x < half; ++x, ++i) {
        const double ky = y <= p / 2 ? y : y - p, kz = z <= p / 2 ? z : z - p;
        const double k2 = x * x + ky * ky + kz * kz;
        if (k2 > radius * radius) continue;
        const double frequency2 = k2 / (p * edge * p * edge);
        weight[i] = static_cast<float>(50 / (1 + 0.1 * std::sqrt(k2)));
        real[i] = static_cast<float>(weight[i] * std::exp(-2 * M_PI * M_PI * sigma * sigma / 9 * frequency2));
      }
  write_mrc_file(file("_data_real.mrc"), half, p, depth, real, 1);
  write_mrc_file(file("_data_imag.mrc"), half, p, depth, imag, 1);
  write_mrc_file(file("_weight.mrc"), half, p, depth, weight, 1);
  write_file(star(), star_text());
}

}  // namespace cryored_test
