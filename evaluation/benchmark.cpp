#include "evaluation/benchmark.hpp"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <tuple>
#include <type_traits>

#include "core/base/error.hpp"
#include "simulation/data_set.hpp"
#include "simulation/structures.hpp"

namespace cryored {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kModes =
    "known-angles, plain, plain+denoise, gaussian, red, cw-red, per-shell or default, the last four also with a label "
    "behind a dash for a network of their own";

/// Reads the fields of one object, and complains of those that nobody asked for.
class Fields {
 public:
  Fields(const Json& json, std::string path, std::string place)
      : json_(json), path_(std::move(path)), place_(std::move(place)) {
    if (!json_.is_object()) throw problem("", json_.dump(), "an object", "");
  }

  bool has(const std::string& key) {
    seen_.insert(key);
    return json_.contains(key);
  }
  const Json& at(const std::string& key) {
    if (!has(key)) throw problem(key, "missing", "given", "add it; docs/refinements.md describes the file");
    return json_.at(key);
  }
  std::string place(const std::string& key) const { return place_.empty() ? key : place_ + "." + key; }

  template <typename Number>
  void number(const std::string& key, Number& value, double low, double high) {
    if (has(key)) value = checked<Number>(json_.at(key), key, low, high);
  }
  void flag(const std::string& key, bool& value) {
    if (!has(key)) return;
    if (!json_.at(key).is_boolean()) throw problem(key, json_.at(key).dump(), "true or false", "");
    value = json_.at(key).get<bool>();
  }
  std::string text(const std::string& key) {
    if (!at(key).is_string() || json_.at(key).get<std::string>().empty())
      throw problem(key, json_.at(key).dump(), "a text", "");
    return json_.at(key).get<std::string>();
  }
  std::vector<std::string> texts(const std::string& key) {
    std::vector<std::string> out;
    for (const Json& e : list(key)) {
      if (!e.is_string() || e.get<std::string>().empty()) throw problem(key, e.dump(), "texts", "");
      out.push_back(e.get<std::string>());
    }
    return out;
  }
  std::vector<double> numbers(const std::string& key, double low, double high) {
    std::vector<double> out;
    for (const Json& e : list(key)) out.push_back(checked<double>(e, key, low, high));
    return out;
  }
  std::pair<double, double> range(const std::string& key, double low, double high) {
    const std::vector<double> ends = numbers(key, low, high);
    if (ends.size() != 2 || ends[0] > ends[1]) throw problem(key, json_.at(key).dump(), "[low, high]", "");
    return {ends[0], ends[1]};
  }
  /// To be called last.
  void no_others() {
    for (const auto& [key, value] : json_.items())
      if (!seen_.contains(key))
        throw problem(key, value.dump(), "a field that is known here", "see docs/refinements.md for the fields");
  }
  InputError problem(const std::string& key, const std::string& found, const std::string& allowed,
                     const std::string& remedy) const {
    return InputError({path_, key.empty() ? place_ : place(key), found, allowed, remedy});
  }

 private:
  const Json& list(const std::string& key) {
    if (!at(key).is_array() || json_.at(key).empty())
      throw problem(key, json_.at(key).dump(), "a list of one or more", "");
    return json_.at(key);
  }
  template <typename Number>
  Number checked(const Json& value, const std::string& key, double low, double high) const {
    const bool whole = std::is_integral_v<Number>;
    const double v = value.is_number() ? value.get<double>() : NAN;
    if (!(v >= low && v <= high) || (whole && v != std::floor(v)))
      throw problem(key, value.dump(),
                    fmt::format("{} from {:g} to {:g}", whole ? "a whole number" : "a number", low, high), "");
    return static_cast<Number>(v);
  }

  const Json& json_;
  std::string path_, place_;
  std::set<std::string> seen_;
};

ParticleOptions read_particles(const Json& json, const std::string& path, const std::string& place) {
  ParticleOptions o;
  o.count = 2000;
  Fields f(json, path, place);
  f.number("count", o.count, 10, 1e7);
  f.number("box", o.box, 16, 8190);
  if (o.box % 2 != 0) throw f.problem("box", std::to_string(o.box), "an even number", "");
  f.number("pixel_size_A", o.pixel_size, 0.1, 20);
  f.number("b_factor_A2", o.b_factor, 0, 1000);
  f.number("shift_sigma_pixels", o.shift_sigma, 0, 1000);
  f.number("start_resolution_A", o.start_resolution, 5, 200);
  f.number("randomise_phases_beyond_A", o.randomise_phases_beyond, 0, 1e4);
  f.flag("noise_only", o.noise_only);
  if (f.has("noise")) {
    const std::string kind = f.text("noise");
    if (kind != "white" && kind != "coloured") throw f.problem("noise", kind, "white or coloured", "");
    o.noise.coloured = kind == "coloured";
  }
  if (f.has("ctf")) {
    o.ctf.on = true;
    Fields c(json.at("ctf"), path, f.place("ctf"));
    c.number("voltage_kV", o.ctf.voltage, 10, 3000);
    c.number("spherical_aberration_mm", o.ctf.spherical_aberration, 0, 100);
    c.number("amplitude_contrast", o.ctf.amplitude_contrast, 0, 1);
    if (c.has("defocus_A")) std::tie(o.ctf.least_defocus, o.ctf.most_defocus) = c.range("defocus_A", 0, 1e6);
    if (c.has("envelope_A2")) std::tie(o.ctf.least_b_factor, o.ctf.most_b_factor) = c.range("envelope_A2", 0, 1e4);
    c.no_others();
  }
  f.no_others();
  return o;
}

RelionOptions read_relion(const Json& json, const std::string& path, const std::string& place) {
  RelionOptions o;
  Fields f(json, path, place);
  f.number("ranks", o.ranks, 3, 129);
  f.number("threads", o.threads, 1, 256);
  f.number("particle_diameter_A", o.particle_diameter, 0, 1e4);
  f.number("padding", o.padding, 1, 2);
  f.number("healpix_order", o.healpix_order, 0, 6);
  f.number("local_healpix_order", o.local_healpix_order, 1, 9);
  f.number("oversampling", o.oversampling, 0, 7);
  f.number("offset_range_pixels", o.offset_range, 0, 100);
  f.number("offset_step_pixels", o.offset_step, 0.1, 100);
  f.number("max_significant", o.max_significant, 0, 1e6);
  f.no_others();
  return o;
}

StopRule read_rule(const Json& json, const std::string& path) {
  StopRule rule;
  Fields f(json, path, "stop_rule");
  f.number("hopeless_worse_than_A", rule.hopeless, 1, 1e4);
  f.number("from_iteration", rule.from_iteration, 1, 999);
  double minutes = 0;
  f.number("plain_minutes", minutes, 0, 1e6);
  rule.plain_seconds = 60 * minutes;
  f.number("iterations_beyond_plain", rule.iterations_beyond_plain, 0, 999);
  f.number("most_iterations", rule.most_iterations, 0, 999);
  f.no_others();
  return rule;
}

Json merged(const Json& all, Fields& group, const char* key) {
  Json out = all;
  if (group.has(key)) out.merge_patch(group.at(key));
  return out;
}

/// What makes two cells of one name the same.
std::string fingerprint(const BenchmarkCell& cell) {
  RelionJob job;
  job.options = cell.relion;
  std::string text = particle_options_json(cell.particles) + (cell.large ? " large" : "");
  for (const std::string& word : relion_command(job, {})) text += " " + word;
  return text;
}

void read_group(const Json& json, const std::string& place, const std::string& path, const Json& particles,
                const Json& relion, const std::vector<std::string>& instead, Benchmark& out,
                std::map<std::string, std::size_t>& by_name) {
  Fields f(json, path, place);
  BenchmarkCell cell;
  cell.group = f.text("name");
  f.flag("large", cell.large);
  std::vector<std::string> structures = f.texts("structures");
  if (!instead.empty()) structures = instead;
  const std::vector<std::string> modes = f.texts("modes");
  for (const std::string& mode : modes) {
    try {
      mode_parts(mode);
    } catch (const UsageError&) {
      throw f.problem("modes", mode, kModes, "");
    }
  }
  const bool by_factor = f.has("factor");
  if (by_factor == f.has("snr")) throw f.problem("snr", by_factor ? "beside factor" : "missing", "snr or factor", "");
  const std::vector<double> amounts = f.numbers(by_factor ? "factor" : "snr", 1e-6, 1e6);
  std::vector<double> seeds = {1};
  if (f.has("seeds")) seeds = f.numbers("seeds", 1, 1e9);
  cell.relion = read_relion(merged(relion, f, "relion"), path, f.place("relion"));
  cell.particles = read_particles(merged(particles, f, "particles"), path, f.place("particles"));
  f.no_others();
  for (const double amount : amounts)
    for (const std::string& structure : structures)
      for (const double seed : seeds)
        for (const std::string& mode : modes) {
          cell.structure = upper_case(structure);
          (by_factor ? cell.particles.factor : cell.particles.snr) = amount;
          cell.particles.seed = static_cast<std::uint64_t>(seed);
          cell.relion.random_seed = static_cast<int>(seed);
          cell.mode = mode;
          const auto [known, fresh] = by_name.emplace(cell.name(), out.cells.size());
          if (fresh) {
            out.cells.push_back(cell);
          } else if (fingerprint(out.cells[known->second]) != fingerprint(cell)) {
            throw f.problem(
                "", "a cell " + cell.name() + " with other options than in group " + out.cells[known->second].group,
                "the same options for the same name", "change one of the groups");
          }
        }
}

}  // namespace

ModeParts mode_parts(const std::string& mode) {
  for (const char* fixed : {"known-angles", "plain+denoise"})
    if (mode == fixed) return {mode, "", false, mode == "plain+denoise"};
  if (mode == "plain") return {mode, "", true, false};
  for (const char* base : {"gaussian", "cw-red", "per-shell", "red", "default"}) {
    const std::string name = base;
    const bool network = name != "gaussian";
    if (mode == name) return {name, "", true, network};
    if (network && mode.starts_with(name + "-") && mode.size() > name.size() + 1 &&
        mode.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.") == std::string::npos)
      return {name, mode.substr(name.size() + 1), true, true};
  }
  throw UsageError({"mode", "", mode, kModes, ""});
}

std::string data_set_name(const std::string& structure_id, const ParticleOptions& o) {
  std::string name = fmt::format("{}_box{}_n{}_", structure_id, o.box, o.count);
  name += o.factor > 0 ? fmt::format("factor{:g}", o.factor) : fmt::format("snr{:g}", o.snr);
  const ParticleOptions usual;
  if (o.pixel_size != usual.pixel_size) name += fmt::format("_{:g}A", o.pixel_size);
  name += particle_options_suffix(o);
  if (o.seed != usual.seed) name += fmt::format("_seed{}", o.seed);
  return name;
}

std::string BenchmarkCell::data_set() const { return data_set_name(structure, particles); }

Benchmark parse_benchmark(const std::string& text, const std::string& path,
                          const std::vector<std::string>& structures) {
  Json json;
  try {
    json = Json::parse(text);
  } catch (const nlohmann::json::exception& e) {
    throw InputError({path, "", e.what(), "JSON", "correct the file; docs/refinements.md describes it"});
  }
  Fields f(json, path, "");
  const std::string schema = f.text("schema");
  if (schema != "cryored-refine-benchmark") throw f.problem("schema", schema, "cryored-refine-benchmark", "");
  int version = 0;
  f.at("version");
  f.number("version", version, 1, 1);
  Benchmark benchmark;
  benchmark.rule = read_rule(f.at("stop_rule"), path);
  const Json none = Json::object();
  const Json& particles = f.has("particles") ? json.at("particles") : none;
  const Json& relion = f.has("relion") ? json.at("relion") : none;
  if (!f.at("groups").is_array() || json.at("groups").empty())
    throw f.problem("groups", json.at("groups").dump(), "a list of one or more", "");
  std::map<std::string, std::size_t> by_name;
  for (std::size_t g = 0; g < json.at("groups").size(); ++g)
    read_group(json.at("groups")[g], fmt::format("groups[{}]", g), path, particles, relion, structures, benchmark,
               by_name);
  f.no_others();
  return benchmark;
}

Benchmark read_benchmark(const std::string& path, const std::vector<std::string>& structures) {
  std::ifstream file(path, std::ios::binary);
  if (!file)
    throw SystemError({path, "", "cannot be opened", "a benchmark that can be read", "name it by --benchmark"});
  std::ostringstream text;
  text << file.rdbuf();
  return parse_benchmark(text.str(), path, structures);
}

bool fits(const BenchmarkCell& cell, const std::string& patterns) {
  if (patterns.empty()) return true;
  std::istringstream stream(patterns);
  for (std::string pattern; std::getline(stream, pattern, ',');)
    if (!pattern.empty() &&
        (fnmatch(pattern.c_str(), cell.name().c_str(), 0) == 0 || fnmatch(pattern.c_str(), cell.group.c_str(), 0) == 0))
      return true;
  return false;
}

int iteration_limit(const StopRule& rule, RunEnd plain_end, int plain_iterations) {
  if (plain_end != RunEnd::converged) return plain_iterations;
  const int more = plain_iterations + rule.iterations_beyond_plain;
  return rule.most_iterations > 0 ? std::min(more, rule.most_iterations) : more;
}

}  // namespace cryored
