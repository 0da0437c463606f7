// Parsing and validation of the STAR file of one external reconstruction.

#include "core/reconstruct/request.hpp"

#include <cmath>
#include <filesystem>
#include <regex>

#include "core/base/error.hpp"
#include "core/formats/star.hpp"
#include "core/reconstruct/request_name.hpp"

namespace cryored {
namespace {

constexpr const char* kGeneral = "external_reconstruct_general";
constexpr const char* kTau2 = "external_reconstruct_tau2";
constexpr const char* kWriteAgain = "let RELION write the STAR file again; do not edit it by hand";

/// One row of values with the checks that all fields share.
class Fields {
 public:
  explicit Fields(const StarTable& table) : table_(table) {
    if (table.rows() != 1)
      throw InputError(Problem{table.file, "data_" + table.name, std::to_string(table.rows()) + " rows",
                               "one value per label", kWriteAgain});
  }

  std::string path(const char* label) const {
    std::string value(table_.text(0, label));
    if (value.empty() || value == "None") reject(label, "an empty path", "the name of a file", kWriteAgain);
    return value;
  }

  double real(const char* label, double low, double high, const char* allowed, const std::string& remedy) const {
    const double value = table_.number(0, label);
    if (!(value >= low && value <= high)) reject(label, "'" + text(label) + "'", allowed, remedy);
    return value;
  }

  int integer(const char* label) const {
    const long value = table_.integer(0, label);
    if (value < -2147483647L || value > 2147483647L) reject(label, text(label), "a 32-bit integer", kWriteAgain);
    return static_cast<int>(value);
  }

  /// A length in A that older versions do not write; RELION's "unknown" is a number <= 0.
  std::optional<double> optional_length(const char* label) const {
    if (!table_.has(label)) return std::nullopt;
    const double value = table_.number(0, label);
    if (!std::isfinite(value)) reject(label, "'" + text(label) + "'", "a length in A", kWriteAgain);
    if (value <= 0) return std::nullopt;
    return value;
  }

  [[noreturn]] void reject(const char* label, const std::string& found, const std::string& allowed,
                           const std::string& remedy) const {
    throw InputError(Problem{table_.file + ": data_" + table_.name, std::string("_") + label, found, allowed, remedy});
  }

 private:
  std::string text(const char* label) const { return std::string(table_.text(0, label)); }
  const StarTable& table_;
};

void read_general(const StarTable& table, ReconstructRequest& r) {
  const Fields f(table);
  r.data_real = f.path("rlnExtReconsDataReal");
  r.data_imag = f.path("rlnExtReconsDataImag");
  r.weight = f.path("rlnExtReconsWeight");
  r.result = f.path("rlnExtReconsResult");
  r.result_star = f.path("rlnExtReconsResultStarfile");
  // Zero would divide by zero in 1 / (p^3 T tau2).
  r.tau2_fudge = f.real("rlnTau2FudgeFactor", 1e-6, 1e9, "a number from 1e-6 to 1e9",
                        "give RELION a positive regularisation parameter (--tau2_fudge)");
  r.padding = f.real("rlnPaddingFactor", 1, 16, "a number from 1 to 16", "run RELION with --pad 1 or --pad 2");
  r.dimensionality = f.integer("rlnReferenceDimensionality");
  if (r.dimensionality != 2 && r.dimensionality != 3)
    f.reject("rlnReferenceDimensionality", std::to_string(r.dimensionality), "2 (images) or 3 (volumes)", kWriteAgain);
  r.box = f.integer("rlnOriginalImageSize");
  if (r.box < 4 || r.box > 8192 || r.box % 2 != 0)
    f.reject("rlnOriginalImageSize", std::to_string(r.box) + (r.box % 2 != 0 ? " (odd)" : ""),
             "an even box size from 4 to 8192 pixels",
             "crop or pad the particles to an even box, e.g. relion_image_handler --new_box");
  r.current_size = f.integer("rlnCurrentImageSize");
  if (r.current_size < 2 || r.current_size > r.box)
    f.reject("rlnCurrentImageSize", std::to_string(r.current_size),
             "2 to " + std::to_string(r.box) + ", rlnOriginalImageSize", kWriteAgain);
  r.pixel_size = f.optional_length("rlnPixelSize");
  r.particle_diameter = f.optional_length("rlnParticleDiameter");
}

void read_tau2(const StarTable& table, ReconstructRequest& r) {
  const std::size_t shell_column = table.require_column("rlnSpectralIndex");
  const std::size_t tau2_column = table.require_column("rlnReferenceTau2");
  const std::size_t fsc_column = table.require_column("rlnGoldStandardFsc");
  const std::string where = table.file + ": data_" + table.name;
  const std::size_t shells = static_cast<std::size_t>(r.box) / 2 + 1;
  if (table.rows() != shells)
    throw InputError(
        Problem{where, "", std::to_string(table.rows()) + " rows",
                std::to_string(shells) + " rows, shells 0 to N/2 of rlnOriginalImageSize = " + std::to_string(r.box),
                "if the file was cut short, let RELION write it again"});
  const auto reject = [&](std::size_t row, const char* label, std::size_t column, const std::string& allowed) {
    throw InputError(Problem{where + ", row " + std::to_string(row + 1), std::string("_") + label,
                             "'" + std::string(table.text(row, column)) + "'", allowed, kWriteAgain});
  };
  r.tau2.resize(shells);
  r.fsc.resize(shells);
  for (std::size_t s = 0; s < shells; ++s) {
    if (table.integer(s, shell_column) != static_cast<long>(s))
      reject(s, "rlnSpectralIndex", shell_column, std::to_string(s) + ", shells in ascending order from 0");
    r.tau2[s] = table.number(s, tau2_column);
    if (!std::isfinite(r.tau2[s]) || r.tau2[s] < 0)
      reject(s, "rlnReferenceTau2", tau2_column, "a finite number, 0 or more");
    r.fsc[s] = table.number(s, fsc_column);
    // A little more than 1 comes from RELION's float rounding.
    if (!(std::abs(r.fsc[s]) <= 1.001)) reject(s, "rlnGoldStandardFsc", fsc_column, "a correlation from -1 to 1");
  }
}

/// `<o>_itNNN[_half1|_half2]_class%03d|_body%03d_external_reconstruct.star`
void read_name(ReconstructRequest& r) {
  static const std::regex pattern(
      "^(.+)_it([0-9]{3,9})(_half([12]))?_(class|body)([0-9]{3,9})_external_reconstruct\\.star$");
  const auto slash = r.star_path.rfind('/');
  const std::string folder = slash == std::string::npos ? "" : r.star_path.substr(0, slash + 1);
  const std::string name = r.star_path.substr(folder.size());
  std::smatch part;
  // std::regex recurses per character; no file system has longer names.
  if (name.size() > 255 || !std::regex_match(name, part, pattern)) return;
  r.job_root = folder + part[1].str();
  r.iteration = std::stoi(part[2].str());
  if (part[4].matched) r.half = std::stoi(part[4].str());
  r.is_body = part[5].str() == "body";
  r.class_number = std::stoi(part[6].str());
}

ReconstructRequest request_of(const StarFile& star) {
  ReconstructRequest request;
  request.star_path = star.path;
  read_general(star.require(kGeneral), request);
  const StarTable* tau2 = star.find(kTau2);
  if (!tau2)
    throw InputError(Problem{star.path, std::string("block data_") + kTau2, "nothing",
                             "a loop with rlnSpectralIndex, rlnReferenceTau2, rlnGoldStandardFsc, one row per shell",
                             "relion_reconstruct --external_reconstruct leaves it out; relion_refine writes it: use "
                             "its files, or append the loop"});
  read_tau2(*tau2, request);
  read_name(request);
  return request;
}

}  // namespace

std::string ReconstructRequest::other_half() const {
  if (half == 0) return {};
  std::string path = star_path;
  // The name has been matched: the last one is RELION's.
  path[path.rfind("_half") + 5] = half == 1 ? '2' : '1';
  return path;
}

int ReconstructRequest::padded_box() const { return static_cast<int>(std::lround(padding * box)); }

ReconstructRequest read_request(const std::string& star_path) { return request_of(read_star(star_path)); }

ReconstructRequest read_request_beside(const std::string& star_path) {
  ReconstructRequest request = read_request(star_path);
  for (std::string* path : {&request.data_real, &request.data_imag, &request.weight}) {
    const auto beside = std::filesystem::path(star_path).parent_path() / std::filesystem::path(*path).filename();
    if (std::filesystem::exists(beside)) *path = beside.string();
  }
  return request;
}

ReconstructRequest read_request(const std::string& star_path, const std::string& folder) {
  if (folder.empty()) return read_request(star_path);
  const std::string root = folder.back() == '/' ? folder : folder + "/";
  const auto absolute = [&](const std::string& path) { return path[0] == '/' ? path : root + path; };
  ReconstructRequest request = read_request(star_path.empty() ? star_path : absolute(star_path));
  for (std::string* path :
       {&request.data_real, &request.data_imag, &request.weight, &request.result, &request.result_star})
    *path = absolute(*path);
  request.root = root;
  return request;
}

ReconstructRequest request_of_name(const std::string& star_path) {
  ReconstructRequest request;
  request.star_path = star_path;
  read_name(request);
  return request;
}

ReconstructRequest parse_request(std::string_view text, const std::string& star_path) {
  return request_of(parse_star(text, star_path));
}

}  // namespace cryored
