#include "simulation/data_set.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/base/atomic_file.hpp"
#include "core/base/error.hpp"
#include "core/base/folder_lock.hpp"
#include "core/base/json_text.hpp"
#include "core/base/sha256.hpp"
#include "simulation/structures.hpp"

namespace cryored {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

Json read_json(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw SystemError({path, "", "cannot be opened", "a file that can be read", ""});
  std::ostringstream text;
  text << file.rdbuf();
  Json json = Json::parse(text.str(), nullptr, false);
  if (json.is_discarded())
    throw InputError({path, "", "no JSON", "the file as this program wrote it", "remove its folder and run again"});
  return json;
}

Json options_json(const ParticleOptions& o) {
  Json json = {{"box", o.box},
               {"pixel_size_A", o.pixel_size},
               {"count", o.count},
               {"snr", o.snr},
               {"shift_sigma_pixels", o.shift_sigma},
               {"b_factor_A2", o.b_factor},
               {"start_resolution_A", o.start_resolution},
               {"seed", o.seed}};
  if (o.hydrogens) json["hydrogens"] = true;
  if (o.factor > 0) {
    json["factor"] = o.factor;
    json["pdb2mrc_resolution_A"] = o.pdb2mrc_resolution;
  }
  if (o.views.preferred) json["preferred_views"] = {{"share", o.views.share}, {"spread_deg", o.views.spread}};
  if (o.ctf.on)
    json["ctf"] = {{"voltage_kV", o.ctf.voltage},
                   {"spherical_aberration_mm", o.ctf.spherical_aberration},
                   {"amplitude_contrast", o.ctf.amplitude_contrast},
                   {"defocus_A", {o.ctf.least_defocus, o.ctf.most_defocus}},
                   {"astigmatism_A", o.ctf.astigmatism},
                   {"phase_shift_deg", o.ctf.phase_shift},
                   {"envelope_A2", {o.ctf.least_b_factor, o.ctf.most_b_factor}},
                   {"beam_tilt_mrad", {o.ctf.beam_tilt_x, o.ctf.beam_tilt_y}}};
  if (o.noise.coloured) json["coloured_noise"] = {{"falloff_A", o.noise.falloff}, {"floor", o.noise.floor}};
  if (o.noise_only) json["noise_only"] = true;
  if (o.randomise_phases_beyond > 0) json["randomise_phases_beyond_A"] = o.randomise_phases_beyond;
  if (o.mirrored_start) json["start"] = "mirrored";
  if (!o.other_start.empty()) json["start"] = {{"structure_sha256", sha256_file(o.other_start)}};
  return json;
}

}  // namespace

std::string particle_options_json(const ParticleOptions& options) { return json_text(options_json(options)); }

std::string particle_options_suffix(const ParticleOptions& o) {
  std::string suffix;
  if (o.views.preferred) suffix += "_preferred";
  if (o.ctf.on) suffix += "_ctf";
  if (o.noise.coloured) suffix += "_coloured";
  if (o.noise_only) suffix += "_noise";
  if (o.randomise_phases_beyond > 0) {
    std::ostringstream text;
    text << o.randomise_phases_beyond;
    suffix += "_phases" + text.str() + "A";
  }
  if (o.mirrored_start) suffix += "_mirrored";
  if (!o.other_start.empty()) suffix += "_from-" + structure_id(o.other_start);
  return suffix;
}

void hold_to_options(const std::string& path, const std::string& wanted_text, const std::string& changeable) {
  const Json wanted = Json::parse(wanted_text);
  const bool known = fs::exists(path);
  const Json found = known ? read_json(path) : Json();
  const auto refuse = [&](const std::string& key, const std::string& here, const std::string& asked) {
    throw InputError(
        {path, key, here, asked, "give the options that the folder was begun with, or another output folder"});
  };
  if (known) {
    for (const auto& [key, value] : wanted.items())
      if (!found.contains(key) || found[key] != value)
        refuse(key, found.contains(key) ? json_text(found[key]) : "nothing", json_text(value));
    // An option at its default now that was not then.
    const Json may_change = Json::parse(changeable);
    for (const auto& [key, value] : found.items())
      if (!wanted.contains(key) && !may_change.contains(key)) refuse(key, json_text(value), "nothing");
  }
  Json all = wanted;
  all.update(Json::parse(changeable));
  if (!known || found != all) write_text_atomically(path, json_text(all, 2) + "\n");
}

bool prepare_data_set(DataSet& data, const std::function<void(int)>& progress) {
  const Structure structure = read_structure(data.structure, data.options.hydrogens);
  data.without_occupancy = structure.without_occupancy;
  const double field = static_cast<double>(data.options.box) * data.options.pixel_size;
  // RELION wants the mask inside the box; its soft edge takes five pixels on each side.
  data.diameter = std::min(std::ceil(2 * structure.radius + 10), std::floor(field - 10 * data.options.pixel_size));
  Json wanted = {{"structure_sha256", sha256_file(data.structure)}};
  wanted.update(options_json(data.options));
  const std::string asked = (fs::path(data.folder) / "dataset.json").string();
  const std::string done = (fs::path(data.folder) / "complete").string();
  constexpr const char* kFiles[] = {"particles.mrcs", "particles.star", "particles_truth.star", "truth.mrc",
                                    "initial.mrc"};
  const auto there = [&](const char* name) { return fs::exists(fs::path(data.folder) / name); };
  const auto finished = [&] {
    if (!fs::exists(done)) return false;
    hold_to_options(asked, json_text(wanted));
    if (!std::all_of(std::begin(kFiles), std::end(kFiles), there)) return false;
    if (fs::file_size(done) > 0) data.snr = read_json(done).value("snr", 0.0);
    return true;
  };
  if (finished()) return false;
  fs::create_directories(data.folder);
  const FolderLock lock((fs::path(data.folder) / ".lock").string(), data.folder, "makes particles in it");
  if (finished()) return false;  // by another one, just now
  fs::remove(done);              // what somebody has removed is made again
  if (!fs::exists(asked)) {
    if (const auto* mine = std::find_if(std::begin(kFiles), std::end(kFiles), there); mine != std::end(kFiles))
      throw InputError(Problem{(fs::path(data.folder) / *mine).string(), "file",
                               "one that cryored simulate did not make", "a folder that is empty or its own",
                               "move it away, or name another folder"});
  }
  write_text_atomically(asked, json_text(wanted, 2) + "\n");  // first: it says whose folder this is
  data.snr = simulate_particles(structure, data.options, data.folder, progress).snr;
  write_text_atomically(done, json_text(Json({{"snr", data.snr}})) + "\n");
  return true;
}

}  // namespace cryored
