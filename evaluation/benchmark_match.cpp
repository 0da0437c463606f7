// Whether a record is of the cell whose name it has.

#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "core/base/error.hpp"
#include "core/base/sha256.hpp"
#include "evaluation/benchmark_record.hpp"
#include "simulation/data_set.hpp"

namespace cryored {
namespace {

using Json = nlohmann::json;

[[noreturn]] void refuse(const CellRecord& record, const std::string& field, const std::string& found,
                         const std::string& wanted) {
  throw InputError({record.path, field, found, wanted,
                    "take the options and structures that the record was made with, keep records of others in another "
                    "folder (--results), or move this one away"});
}

/// Options by name, with their value where they have one, from the first option on.
std::map<std::string, std::string> by_option(const std::vector<std::string>& words) {
  std::map<std::string, std::string> options;
  std::string name;
  for (const std::string& word : words)
    if (word.starts_with("--"))
      options[name = word];
    else if (!name.empty())
      options[name] += (options[name].empty() ? "" : " ") + word;
  return options;
}

/// What relion_refine_mpi is given, without what mpirun is.
std::map<std::string, std::string> refine_options(const std::vector<std::string>& command) {
  std::size_t at = 0;
  while (at < command.size() && !command[at].ends_with("relion_refine_mpi")) ++at;
  std::map<std::string, std::string> options =
      by_option({command.begin() + static_cast<std::ptrdiff_t>(at), command.end()});
  for (std::size_t i = 0; i + 1 < at; ++i)
    if (command[i] == "-n") options["mpirun -n"] = command[i + 1];
  // Files by their names alone, the stop rule, which may change, and where and how fast it runs.
  for (const char* other :
       {"--i", "--ref", "--o", "--auto_iter_max", "--cpu", "--gpu", "--scratch_dir", "--keep_scratch"})
    options.erase(other);
  return options;
}

std::string option_text(const std::map<std::string, std::string>& options, const std::string& name) {
  const auto at = options.find(name);
  if (at == options.end()) return "without " + name;
  return at->second.empty() ? name : name + " " + at->second;
}

}  // namespace

void require_same_data(const CellRecord& record, const BenchmarkCell& cell, const std::string& structure) {
  const Json found = Json::parse(record.particles), wanted = Json::parse(particle_options_json(cell.particles));
  const Json always =
      Json::parse(particle_options_json(ParticleOptions()));  // the others are left out at their default
  for (const Json& side : {wanted, found})
    for (const auto& [key, value] : side.items()) {
      if (!found.contains(key) && always.contains(key)) continue;  // the record does not state it
      const Json is = found.value(key, Json("default")), ought = wanted.value(key, Json("default"));
      if (is != ought) refuse(record, "particles." + key, is.dump(), ought.dump());
    }
  if (record.structure_sha256.empty() || structure.empty()) return;
  if (const std::string digest = sha256_file(structure); digest != record.structure_sha256)
    refuse(record, "structure_sha256", record.structure_sha256, digest + " of " + structure);
}

void require_same_options(const CellRecord& record, const BenchmarkCell& cell,
                          const std::optional<std::vector<std::string>>& extra) {
  if (record.command.empty()) return;
  RelionJob job;
  job.options = cell.relion;
  const std::set<std::string> fixed = [&] {
    std::set<std::string> names;
    for (const auto& [name, value] : refine_options(relion_command(job, {}))) names.insert(name);
    return names;
  }();
  if (extra) job.options.extra.insert(job.options.extra.end(), extra->begin(), extra->end());
  if (cell.particles.ctf.on) job.options.extra.insert(job.options.extra.end(), {"--ctf", "--ctf_corrected_ref"});
  std::map<std::string, std::string> found = refine_options(record.command),
                                     wanted = refine_options(relion_command(job, {}));
  found.erase("--external_reconstruct");  // a matter of the mode
  for (auto* options : {&found, &wanted})
    if (cell.relion.particle_diameter <= 0) options->erase("--particle_diameter");  // that of the structure
  for (const auto* side : {&wanted, &found})
    for (const auto& [name, value] : *side) {
      if (!extra && !fixed.contains(name)) continue;
      const std::string is = option_text(found, name), ought = option_text(wanted, name);
      if (is != ought) refuse(record, "command", is, ought);
    }
}

}  // namespace cryored
