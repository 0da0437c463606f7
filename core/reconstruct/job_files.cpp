// What the STAR file of a reconstruction does not tell, from the files of the same RELION job.

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <regex>
#include <sstream>
#include <system_error>

#include "core/base/error.hpp"
#include "core/formats/star.hpp"
#include "core/reconstruct/request.hpp"

namespace cryored {
namespace {

struct JobFile {
  std::string path;
  bool same_root;  ///< no other continuation (_ct<iter>) of the job
  int iteration;
  int half;          ///< 0 when the name has none
  int class_number;  ///< of class maps, else 0
};

enum class Kind { model, optimiser, data, sampling, map };

/// Files of one kind under the request's own name up to its iteration, the most telling first: before this iteration,
/// same continuation, latest iteration, same half.
std::vector<JobFile> listed_files(const ReconstructRequest& request, Kind kind) {
  std::vector<JobFile> found;
  if (request.iteration < 0) return found;
  const std::filesystem::path root(request.job_root);
  const std::string root_name = root.filename().string();
  std::string folder = root.parent_path().string();
  if (folder.empty()) folder = ".";
  std::string base = root_name;
  static const std::regex continued("_ct[0-9]+$");
  base = std::regex_replace(base, continued, "");
  static const std::regex tail(
      "^(_ct[0-9]{1,9})?_it([0-9]{3,9})(_half([12]))?_((class|body)([0-9]{3,9})\\.mrc|(model|optimiser|data|sampling)"
      "\\.star)$");
  static const char* const names[] = {"model", "optimiser", "data", "sampling"};

  std::error_code error;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (name.size() <= base.size() || name.size() > 255 || name.compare(0, base.size(), base) != 0) continue;
    const std::string rest = name.substr(base.size());
    std::smatch part;
    if (!std::regex_match(rest, part, tail)) continue;
    if (part[8].matched != (kind != Kind::map)) continue;
    if (kind != Kind::map && part[8].str() != names[static_cast<int>(kind)]) continue;
    JobFile file;
    if (request.job_root.find('/') != std::string::npos) file.path = folder == "/" ? "/" : folder + "/";
    file.path += name;
    file.same_root = base + part[1].str() == root_name;
    file.iteration = std::stoi(part[2].str());
    file.half = part[4].matched ? std::stoi(part[4].str()) : 0;
    file.class_number = part[7].matched ? std::stoi(part[7].str()) : 0;
    if (file.iteration <= request.iteration) found.push_back(std::move(file));
  }
  const auto rank = [&](const JobFile& f) {
    const int half_rank = f.half == request.half ? 0 : f.half == 0 ? 1 : 2;
    // RELION writes its files of an iteration after the call: those that are there already are of an older run of the
    // same name, unless somebody calls by hand afterwards.
    return std::tuple(f.iteration == request.iteration, !f.same_root, -f.iteration, half_rank,
                      f.class_number == request.class_number ? 0 : 1, f.path);
  };
  std::sort(found.begin(), found.end(), [&](const JobFile& a, const JobFile& b) { return rank(a) < rank(b); });
  return found;
}

/// The word that follows `option` in the command line that RELION keeps as a comment on top of _optimiser.star; nothing
/// where it is not there. `is_command` is set where the comment is a command line.
std::optional<std::string> word_of_command(const StarFile& star, std::string_view option, bool* is_command = nullptr) {
  if (star.tables.empty()) return std::nullopt;
  std::istringstream comment(star.tables.front().comment);
  std::optional<std::string> found;
  for (std::string word; comment >> word;) {
    if (word == "--o" && is_command) *is_command = true;
    if (word == option && comment >> word) found = word;
  }
  return found;
}

/// The job that the request's was continued from under another name, as a request after its last iteration.
std::optional<ReconstructRequest> job_before(const ReconstructRequest& request) {
  static const std::regex optimiser("^(.*)_it([0-9]{3,9})_optimiser\\.star$");
  for (const JobFile& file : listed_files(request, Kind::optimiser)) {
    try {
      auto path = word_of_command(read_star(file.path), "--continue");
      std::smatch part;
      if (!path || !std::regex_match(*path, part, optimiser)) continue;
      ReconstructRequest before = request;
      before.job_root = ((*path)[0] == '/' ? "" : request.root) + part[1].str();
      before.iteration = std::stoi(part[2].str()) + 1;
      return before;
    } catch (const Error&) {
      continue;  // being written, or damaged
    }
  }
  return std::nullopt;
}

/// The job's files of one kind, the most telling first. Where none of an earlier iteration is there, those of the job
/// that this one was continued from.
std::vector<JobFile> job_files(ReconstructRequest request, Kind kind) {
  std::vector<JobFile> files = listed_files(request, kind);
  const int most = 8;  // a chain of jobs that ends in itself ends here
  for (int i = 0; i < most && (files.empty() || files.front().iteration >= request.iteration); ++i) {
    auto before = job_before(request);
    if (!before) break;
    request = std::move(*before);
    std::vector<JobFile> older = listed_files(request, kind);
    std::erase_if(older, [&](const JobFile& f) { return f.iteration >= request.iteration; });
    older.insert(older.end(), std::make_move_iterator(files.begin()), std::make_move_iterator(files.end()));
    files = std::move(older);
  }
  return files;
}

/// Runs `use` on the STAR files in order until it returns a value. A file that cannot be read
/// (being written, damaged) is passed over; why is noted for the final message.
template <typename Use>
auto first_of(const std::vector<JobFile>& files, std::vector<std::string>* notes, Use use)
    -> decltype(use(std::declval<const StarFile&>())) {
  for (const JobFile& file : files) {
    try {
      if (auto value = use(read_star(file.path))) return value;
    } catch (const Error& problem) {
      if (notes) notes->push_back(problem.what());
    }
  }
  return std::nullopt;
}

std::optional<double> positive(const StarTable& table, std::size_t row, std::string_view label) {
  if (!table.has(label) || row >= table.rows()) return std::nullopt;
  const double value = table.number(row, label);
  if (std::isfinite(value) && value > 0) return value;
  return std::nullopt;
}

std::optional<double> pixel_size_of_model(const StarFile& star, int box) {
  const StarTable* general = star.find("model_general");
  if (!general) return std::nullopt;
  // Another box: a file that an older run with the same name has left behind.
  if (general->has("rlnOriginalImageSize") && general->integer(0, "rlnOriginalImageSize") != box) return std::nullopt;
  return positive(*general, 0, "rlnPixelSize");
}

std::optional<double> pixel_size_of_data(const StarFile& star) {
  if (const StarTable* optics = star.find("optics")) return positive(*optics, 0, "rlnImagePixelSize");
  if (star.tables.empty()) return std::nullopt;
  // RELION 3.0 and before: detector pixel in micrometre over magnification, in each particle's row.
  const StarTable& particles = star.tables.front();
  const auto detector = positive(particles, 0, "rlnDetectorPixelSize");
  const auto magnification = positive(particles, 0, "rlnMagnification");
  if (!detector || !magnification) return std::nullopt;
  return *detector * 1e4 / *magnification;
}

std::string in_upper_case(std::string text) {
  for (char& c : text)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
  return text;
}

std::optional<std::string> symmetry_of_command(const StarFile& star) {
  // A continuation does not repeat the group.
  if (word_of_command(star, "--continue")) return std::nullopt;
  bool is_command = false;
  const auto group = word_of_command(star, "--sym", &is_command);
  if (!is_command) return std::nullopt;
  return group ? in_upper_case(*group) : "C1";
}

}  // namespace

double find_pixel_size(const ReconstructRequest& request, std::string* source) {
  const auto answer = [&](double value, const std::string& from) {
    if (source) *source = from;
    return value;
  };
  if (request.pixel_size) return answer(*request.pixel_size, request.star_path + " (_rlnPixelSize)");

  std::vector<std::string> notes;
  std::string from;
  const auto note_source = [&](std::optional<double> value, const StarFile& star, const char* what) {
    if (value) from = star.path + " (" + what + ")";
    return value;
  };
  const auto use_model = [&](const StarFile& star) {
    return note_source(pixel_size_of_model(star, request.box), star, "_rlnPixelSize");
  };
  const auto use_data = [&](const StarFile& star) {
    return note_source(pixel_size_of_data(star), star, "pixel size of the particles");
  };
  if (const auto v = first_of(job_files(request, Kind::model), &notes, use_model)) return answer(*v, from);
  // A job that was continued under another name has its older files elsewhere, and its
  // optimiser knows where.
  const auto use_optimiser = [&](const StarFile& star) -> std::optional<double> {
    const StarTable* general = star.find("optimiser_general");
    if (!general) return std::nullopt;
    for (const char* label : {"rlnModelStarFile", "rlnModelStarFile2", "rlnExperimentalDataStarFile"}) {
      if (!general->has(label)) continue;
      std::string path(general->text(0, label));
      if (path.empty() || path == "None") continue;
      if (path[0] != '/') path.insert(0, request.root);
      const std::vector<JobFile> one{{path, true, 0, 0, 0}};
      const bool is_data = std::string_view(label) == "rlnExperimentalDataStarFile";
      if (const auto v = is_data ? first_of(one, &notes, use_data) : first_of(one, &notes, use_model)) return v;
    }
    return std::nullopt;
  };
  if (const auto v = first_of(job_files(request, Kind::optimiser), &notes, use_optimiser)) return answer(*v, from);
  if (const auto v = first_of(job_files(request, Kind::data), &notes, use_data)) return answer(*v, from);
  for (const JobFile& map : job_files(request, Kind::map)) {
    try {
      const MrcHeader header = read_mrc_header(map.path);
      if (header.pixel_size > 0 && header.nx == static_cast<std::size_t>(request.box))
        return answer(header.pixel_size, map.path + " (MRC header)");
    } catch (const Error& problem) {
      notes.emplace_back(problem.what());
    }
  }

  std::string found = "nothing in the STAR file (RELION 3.1 and 4.0.0 do not write it)";
  found += request.iteration < 0
               ? ", and its name does not follow <job>_itNNN_class001_external_reconstruct.star, so "
                 "that the job's files cannot be found"
               : ", and no _model.star, _optimiser.star, _data.star or class map of box " +
                     std::to_string(request.box) + " with a pixel size at " + request.job_root + "_it*";
  for (std::size_t i = 0; i < notes.size() && i < 3; ++i) found += " [" + notes[i] + "]";
  throw InputError(Problem{request.star_path, "_rlnPixelSize", found, "a pixel size in A",
                           "give it with --pixel-size, e.g. --pixel-size 1.05"});
}

std::optional<std::string> find_symmetry(const ReconstructRequest& request) {
  if (request.dimensionality != 3) return std::nullopt;
  const auto of_sampling = [](const StarFile& star) -> std::optional<std::string> {
    const StarTable* general = star.find("sampling_general");
    if (!general || general->rows() == 0 || !general->has("rlnSymmetryGroup")) return std::nullopt;
    const std::string_view group = general->text(0, "rlnSymmetryGroup");
    if (group.empty()) return std::nullopt;
    return in_upper_case(std::string(group));
  };
  const auto of_either = [&](const StarFile& star) {
    auto group = symmetry_of_command(star);
    return group ? group : of_sampling(star);
  };
  // relion_refine without MPI writes no sampling file for iteration 0. One that is there is of an older run: of one
  // iteration the command goes before it. So does that of iteration 0 before a sampling file of this iteration.
  const std::string ending = "_sampling.star";
  for (const bool earlier : {true, false}) {
    const auto files = [&](Kind kind) {
      std::vector<JobFile> some = job_files(request, kind);
      std::erase_if(some, [&](const JobFile& f) { return (f.iteration < request.iteration) != earlier; });
      return some;
    };
    std::vector<JobFile> all;
    for (const JobFile& sampling : files(Kind::sampling)) {
      JobFile optimiser = sampling;
      optimiser.path.replace(optimiser.path.size() - ending.size(), ending.size(), "_optimiser.star");
      all.push_back(std::move(optimiser));
      all.push_back(sampling);
    }
    if (auto group = first_of(all, nullptr, of_either)) return group;
    if (auto group = first_of(files(Kind::optimiser), nullptr, symmetry_of_command)) return group;
  }
  return std::nullopt;
}

std::optional<HelicalSymmetry> find_helix(const ReconstructRequest& request) {
  if (request.dimensionality != 3 || request.is_body) return std::nullopt;
  const auto ignored = [](const StarFile& star) -> std::optional<bool> {
    const StarTable* general = star.find("optimiser_general");
    if (!general || general->rows() == 0 || !general->has("rlnIgnoreHelicalSymmetry")) return std::nullopt;
    return general->integer(0, "rlnIgnoreHelicalSymmetry") != 0;
  };
  if (first_of(job_files(request, Kind::optimiser), nullptr, ignored).value_or(false)) return std::nullopt;
  struct Answer {
    bool helical = false;
    HelicalSymmetry helix;
  };
  const auto of_model = [&](const StarFile& star) -> std::optional<Answer> {
    const StarTable* general = star.find("model_general");
    if (!general || general->rows() == 0 || !general->has("rlnIsHelix")) return std::nullopt;
    Answer answer;
    answer.helical = general->integer(0, "rlnIsHelix") != 0;
    if (!answer.helical) return answer;
    const StarTable& classes = star.require("model_classes");
    const auto row = static_cast<std::size_t>(std::max(request.class_number, 1) - 1);
    answer.helix.rise = classes.number(row, "rlnHelicalRise");
    answer.helix.twist = classes.number(row, "rlnHelicalTwist");
    if (!std::isfinite(answer.helix.rise) || !std::isfinite(answer.helix.twist)) return std::nullopt;
    return answer;
  };
  const auto answer = first_of(job_files(request, Kind::model), nullptr, of_model);
  if (!answer || !answer->helical) return std::nullopt;
  return answer->helix;
}

}  // namespace cryored
