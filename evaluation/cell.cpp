#include "evaluation/cell.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/base/atomic_file.hpp"
#include "core/base/error.hpp"
#include "core/base/json_text.hpp"
#include "core/base/sha256.hpp"
#include "core/formats/mrc.hpp"
#include "evaluation/controls.hpp"
#include "evaluation/process.hpp"

namespace fs = std::filesystem;

namespace cryored {
namespace {

using Json = nlohmann::ordered_json;

std::string read_text(const std::string& path, std::size_t limit = std::string::npos) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw SystemError({path, "", "cannot be opened", "a file that can be read", ""});
  std::string text;
  char buffer[65536];
  while (text.size() < limit && file.read(buffer, sizeof buffer).gcount() > 0)
    text.append(buffer, static_cast<std::size_t>(file.gcount()));
  return text;
}

Json read_json(const std::string& path) {
  Json json = Json::parse(read_text(path), nullptr, false);
  if (json.is_discarded())
    throw InputError({path, "", "no JSON", "the file as this program wrote it", "remove its folder and run again"});
  return json;
}

Json relion_json(const RelionOptions& o) {
  return {{"ranks", o.ranks},
          {"threads", o.threads},
          {"particle_diameter_A", o.particle_diameter},
          {"initial_resolution_A", o.initial_resolution},
          {"join_halves_A", o.join_halves},
          {"padding", o.padding},
          {"healpix_order", o.healpix_order},
          {"local_healpix_order", o.local_healpix_order},
          {"oversampling", o.oversampling},
          {"offset_range_pixels", o.offset_range},
          {"offset_step_pixels", o.offset_step},
          {"max_significant", o.max_significant},
          {"random_seed", o.random_seed},
          {"symmetry", o.symmetry},
          {"extra", o.extra}};
}

/// The weights files that may have made the half-maps in the cell's folder: those in force, and of earlier runs those
/// that have the same digest here. `before` is the cell.json that lies there, or null.
std::set<std::string> possible_files(const CellWeights& weights, const Json& before) {
  std::set<std::string> files(weights.files.begin(), weights.files.end());
  if (!weights.digest.empty() && before.is_object() && before.value("weights_sha256", "") == weights.digest)
    for (const std::string& digest : before.value("weights_files", std::vector<std::string>())) files.insert(digest);
  return files;
}

/// That no other weights than these made the half-maps that lie in the folder.
void require_weights(const std::string& folder, const std::set<std::string>& files) {
  if (files.empty()) return;
  std::string wanted;
  for (const std::string& digest : files) wanted += (wanted.empty() ? "" : " or ") + digest;
  for (const std::string& digest : weights_in_records(folder))
    if (!files.contains(digest))
      throw InputError({folder, "weights.sha256 in the records", digest, wanted + ", the weights in force",
                        "give the weights that the folder was begun with, or another output folder"});
}

/// Program and command of a job that is about to start for the first time; left alone afterwards.
void note_program(const RelionJob& job) {
  const std::string path = (fs::path(job.folder) / "program.json").string();
  if (fs::exists(path)) return;
  // Begun by a version that did not record it: which program that was is not known any more.
  const bool begun = read_timeline(job.folder).segments > 0;
  const std::string relion = begun ? "" : find_program("relion_refine_mpi");
  if (relion.empty() && !begun) return;
  std::vector<std::string> words;
  for (const std::string& word : relion_command(job, {})) words.push_back(without_folders(word));
  const Json json = {{"relion_refine_mpi_sha256", begun ? "" : sha256_file(relion)}, {"command", words}};
  write_text_atomically(path, json_text(json, 1) + "\n");
}

}  // namespace

std::string shell_word(const std::string& text) {
  if (!text.empty() && text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./+-:") ==
                           std::string::npos)
    return text;
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

std::string without_folders(const std::string& words) {
  std::string out;
  std::istringstream stream(words);
  for (std::string word; stream >> word;)
    out += (out.empty() ? "" : " ") + (word.starts_with("/") ? fs::path(word).filename().string() : word);
  return out;
}

RefineMode refine_mode(const std::string& name, const std::string& program, const std::string& options) {
  if (name == "plain") return {name, ""};
  std::string prior;
  const bool by_itself = name == "default";
  if (name == "gaussian") prior = "--prior gaussian";
  if (name == "red") prior = "--prior red --lambda 1";
  if (name == "cw-red") prior = "--prior cw-red";
  if (name == "per-shell") prior = "--prior cw-red --confidence per-shell";
  if (prior.empty() && !by_itself)
    throw UsageError({"mode", "", name, "plain, gaussian, red, cw-red, per-shell or default", ""});
  std::string words = shell_word(program);
  if (!prior.empty()) words += " " + prior;
  if (!options.empty()) words += " " + options;
  return {name, words, true, name != "gaussian"};
}

void require_records(const Cell& cell, const RefinementScore& score) {
  if (!cell.mode.records) return;
  for (const IterationScore& it : score.iterations)
    for (const ReconstructionNote& note : it.notes)
      if (!note.seconds)
        throw Error({cell.folder, "iteration " + std::to_string(it.iteration), "a half-map without cryored's record",
                     "a record beside each: RELION did not call cryored",
                     "see cryored doctor " + shell_word(cell.folder) +
                         " and relion.log there; what mpirun starts must see RELION_EXTERNAL_RECONSTRUCT_EXECUTABLE; "
                         "then remove the folder and run the same command again"});
}

RelionProgram read_relion_program(const std::string& cell_folder) {
  const std::string path = (fs::path(cell_folder) / "program.json").string();
  if (!fs::exists(path)) return {};
  const Json json = read_json(path);
  return {json.value("relion_refine_mpi_sha256", ""), json.value("command", std::vector<std::string>())};
}

std::set<std::string> weights_in_records(const std::string& cell_folder) {
  std::set<std::string> digests;
  std::error_code none;  // a folder that is not there has no records
  for (const fs::directory_entry& entry : fs::directory_iterator(cell_folder, none)) {
    if (!entry.path().filename().string().ends_with("_external_reconstruct_cryored.json")) continue;
    std::ifstream file(entry.path());
    const Json record = Json::parse(file, nullptr, false);
    const Json::json_pointer at("/weights/sha256");
    if (!record.is_discarded() && record.contains(at) && record[at].is_string()) digests.insert(record[at]);
  }
  return digests;
}

CellResult run_cell(const Cell& cell, const DataSet& data, const Truth& truth,
                    const std::function<void(const RunProgress&)>& report, const std::function<bool()>& cancelled) {
  fs::create_directories(cell.folder);
  RelionJob job;
  job.folder = cell.folder;
  job.particles = fs::absolute(fs::path(data.folder) / "particles.star").lexically_normal().string();
  job.reference = fs::absolute(start_map(cell.start, data.options, data.folder)).lexically_normal().string();
  job.options = cell.relion;
  if (job.options.particle_diameter <= 0) job.options.particle_diameter = data.diameter;
  // The start map shows the structure, not the structure through a CTF; without the second word RELION would compare it
  // with the images as it is in the first iteration, and finds no orientation then that later ones could mend.
  if (data.options.ctf.on) job.options.extra.insert(job.options.extra.begin(), {"--ctf", "--ctf_corrected_ref"});
  job.external = cell.mode.external;
  Json wanted = {{"schema", "cryored-refine-cell"},
                 {"version", 1},
                 {"mode", cell.mode.name},
                 {"external_reconstruct", without_folders(job.external)},
                 {"dataset", read_json((fs::path(data.folder) / "dataset.json").string())},
                 {"relion", relion_json(job.options)}};
  if (!cell.weights.digest.empty()) wanted["weights_sha256"] = cell.weights.digest;
  if (!cell.start.empty()) wanted["start_map_sha256"] = sha256_file(job.reference);
  Json limits = {
      {"stop_rule", {{"max_iterations", job.options.max_iterations}, {"max_seconds", job.options.max_seconds}}}};
  if (cell.hopeless > 0)
    limits["stop_rule"]["hopeless"] = {{"worse_than_A", cell.hopeless}, {"from_iteration", cell.hopeless_from}};
  const std::string asked = (fs::path(cell.folder) / "cell.json").string();
  const Json before = fs::exists(asked) ? read_json(asked) : Json();
  const std::set<std::string> files = possible_files(cell.weights, before);
  if (!before.is_null()) {
    Json known = before;
    // Where programs lie does not matter; older versions wrote it.
    if (known.contains("external_reconstruct") && known["external_reconstruct"].is_string()) {
      const std::string was = known["external_reconstruct"];
      known["external_reconstruct"] = without_folders(was);
    }
    // Nor did these note the weights; the records tell.
    if (wanted.contains("weights_sha256") && !known.contains("weights_sha256")) {
      require_weights(cell.folder, files);
      known["weights_sha256"] = cell.weights.digest;
    }
    if (known != before) write_text_atomically(asked, json_text(known, 2) + "\n");
  }
  // A table of confidence that the mode does not read may change.
  if (!files.empty()) limits["weights_files"] = files;
  hold_to_options(asked, json_text(wanted), json_text(limits));
  require_weights(cell.folder, files);

  if (cell.hopeless > 0)
    job.hopeless = [&](const RelionIteration& it) {
      if (it.iteration < cell.hopeless_from) return false;
      const MapScore score = score_map(mean_of(read_mrc(it.map(1)), read_mrc(it.map(2))), truth, cell.relion.padding);
      return !(score.resolution <= cell.hopeless);
    };
  note_program(job);

  CellResult result;
  result.end = run_relion(job, report, cancelled);
  result.relion = read_relion_program(cell.folder);
  result.timeline = read_timeline(cell.folder);
  if (result.end == RunEnd::cancelled) return result;
  if (finished_iterations(cell.folder).empty())
    throw Error({cell.folder, "end", describe(result.end) + " before the first iteration",
                 "one finished iteration or more",
                 "give a larger --max-minutes (a benchmark file: plain_minutes; cryored-demo: --minutes)"});
  result.relion_version = relion_version_in(read_text((fs::path(cell.folder) / "relion.log").string(), 65536));
  result.score = score_refinement(cell.folder, truth);
  require_records(cell, result.score);
  require_weights(cell.folder, files);
  write_text_atomically((fs::path(cell.folder) / "score.json").string(), score_json(result.score));
  if (cell.start == "mirrored") {
    result.other_hand = score_refinement(cell.folder, other_hand(truth));
    write_text_atomically((fs::path(cell.folder) / "score_other_hand.json").string(), score_json(*result.other_hand));
  }
  return result;
}

}  // namespace cryored
