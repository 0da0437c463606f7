#include "evaluation/phase_relion.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>

#include "core/base/atomic_file.hpp"
#include "core/base/error.hpp"
#include "core/base/sha256.hpp"
#include "core/formats/mrc.hpp"
#include "core/formats/star.hpp"
#include "core/fourier/shells.hpp"
#include "evaluation/phase_score.hpp"
#include "evaluation/program.hpp"
#include "evaluation/raw_maps.hpp"
#include "evaluation/relion_files.hpp"
#include "simulation/imager.hpp"

namespace cryored {
namespace {

namespace fs = std::filesystem;

std::string iteration_root(const std::string& folder, int iteration) {
  return (fs::path(folder) / fmt::format("run_it{:03}", iteration)).string();
}

long image_number(const std::string& name, const std::string& where) {
  const std::size_t at = name.find('@');
  long number = 0;
  std::istringstream in(name.substr(0, at));
  if (at == std::string::npos || !(in >> number) || number < 1)
    throw InputError({where, "rlnImageName", name, "<number>@<stack>", ""});
  return number;
}

/// Whether an iteration has been written to its end: the optimiser is the first of its files.
bool complete_class2d(const std::string& root) {
  return complete_star(root + "_optimiser.star", "optimiser_general") &&
         complete_star(root + "_model.star", "model_classes") && complete_star(root + "_data.star", "particles") &&
         complete_map(root + "_classes.mrcs");
}

/// Index of the member with the smallest sum of angles to the others.
std::size_t middle_of(const std::vector<Rotation>& members) {
  std::size_t best = 0;
  double least = 1e300;
  for (std::size_t i = 0; i < members.size(); ++i) {
    double sum = 0;
    for (const Rotation& other : members) sum += angle_between(members[i], other);
    if (sum < least) {
      least = sum;
      best = i;
    }
  }
  return best;
}

}  // namespace

bool run_class2d(const PhaseVariant& variant, const Class2dOptions& o, const std::string& folder,
                 const std::function<void(const std::string&)>& report, const std::function<bool()>& cancelled) {
  if (complete_class2d(iteration_root(folder, o.iterations))) return true;
  std::vector<std::string> words = {"relion_refine", "--o", "./run", "--i", variant.star};
  for (const char* word :
       {"--flatten_solvent", "--zero_mask", "--norm", "--scale", "--preread_images", "--dont_combine_weights_via_disc"})
    words.push_back(word);
  const auto add = [&words](const char* name, const std::string& value) {
    words.push_back(name);
    words.push_back(value);
  };
  add("--K", std::to_string(o.classes));
  add("--iter", std::to_string(o.iterations));
  add("--tau2_fudge", fmt::format("{:g}", o.tau));
  add("--particle_diameter", fmt::format("{:g}", o.diameter));
  add("--psi_step", "12");
  add("--offset_range", "4");
  add("--offset_step", "2");
  add("--oversampling", "1");
  add("--pad", "2");
  add("--pool", "10");
  add("--j", std::to_string(o.threads));
  add("--random_seed", std::to_string(o.random_seed));
  words.insert(words.end(), variant.options.begin(), variant.options.end());
  const auto tell = [&report](const std::string& tail) {
    const LogProgress p = parse_log(tail);
    if (report) report(p.iteration > 0 ? fmt::format("iteration {}, {}", p.iteration, p.phase) : "starting");
  };
  return run_program(words, folder, (fs::path(folder) / "relion.log").string(), tell, cancelled);
}

Class2dScore score_class2d(const std::string& folder, int iteration, const PhaseVariant& variant, const Truth& truth) {
  const std::string root = iteration_root(folder, iteration), data = root + "_data.star";
  const StarFile star = read_star(data);
  const StarTable& table = star.require("particles");
  const Map averages = read_mrc(root + "_classes.mrcs");
  const std::size_t box = truth.map.nx, area = box * box;
  std::map<std::size_t, const Pose*> known;
  for (const Pose& pose : truth.poses) known[pose.index] = &pose;

  struct Member {
    Rotation rotation;  ///< true, in the class average's frame
    double x, y;        ///< where the particle's centre lies there, pixels
  };
  std::map<long, std::vector<Member>> classes;
  for (std::size_t row = 0; row < table.rows(); ++row) {
    const std::string name(table.text(row, "rlnImageName"));
    const auto number = static_cast<std::size_t>(image_number(name, data));
    const auto found = known.find(number);
    if (found == known.end() || fs::path(name.substr(name.find('@') + 1)).filename() != variant.stack)
      throw InputError({data, "rlnImageName", name, "an image of " + variant.stack, "run the classification again"});
    const Pose& pose = *found->second;
    const Rotation turn = inverse(rotation_from({0, 0, table.number(row, "rlnAnglePsi")}));
    // Origins are the moves that bring the particle to the centre.
    const double x = (table.number(row, "rlnOriginXAngst") - pose.x_shift) / truth.pixel_size,
                 y = (table.number(row, "rlnOriginYAngst") - pose.y_shift) / truth.pixel_size;
    classes[table.integer(row, "rlnClassNumber")].push_back(
        {turn * rotation_from(pose.angles), turn.m[0][0] * x + turn.m[0][1] * y, turn.m[1][0] * x + turn.m[1][1] * y});
  }

  Class2dScore score;
  std::vector<double> resolutions, areas, spreads;
  Imager imager(truth.map, truth.pixel_size);
  const Map disc = particle_disc(box, truth.pixel_size, 0.4 * static_cast<double>(box) * truth.pixel_size);
  Map buffer(box, box, 1);
  for (const auto& [number, members] : classes) {
    if (number < 1 || static_cast<std::size_t>(number) > averages.nz)
      throw InputError({data, "rlnClassNumber", std::to_string(number), "1 to " + std::to_string(averages.nz), ""});
    Map mean(box, box, 1);
    mean.fill(0);
    std::vector<Rotation> rotations;
    for (const Member& m : members) {
      imager.image({m.rotation, m.x, m.y, nullptr}, buffer.data.data());
      for (std::size_t p = 0; p < area; ++p) mean.data[p] += buffer.data[p];
      rotations.push_back(m.rotation);
    }
    const float* average = averages.data.data() + static_cast<std::size_t>(number - 1) * area;
    const auto curve = fsc(under_mask(average, disc), under_mask(mean.data.data(), disc));
    const Class2dScore::Class one{members.size(), frc_resolution(curve, box, truth.pixel_size), frc_area(curve)};
    const Rotation& middle = rotations[middle_of(rotations)];
    for (const Rotation& r : rotations) {
      spreads.push_back(angle_between(r, middle));
      resolutions.push_back(one.resolution);
      areas.push_back(one.area);
    }
    score.classes.push_back(one);
  }
  std::sort(score.classes.begin(), score.classes.end(),
            [](const auto& a, const auto& b) { return a.particles > b.particles; });
  score.resolution = median(resolutions);
  score.area = median(areas);
  score.spread = median(spreads);
  return score;
}

void write_raw_poses(const std::string& refined_star, const std::string& raw_star, const std::string& out) {
  const StarFile refined = read_star(refined_star);
  const StarTable& poses = refined.require("particles");
  StarFile star = read_star(raw_star);
  StarTable& rows = star.require("particles");
  std::map<long, std::size_t> row_of;
  for (std::size_t row = 0; row < rows.rows(); ++row)
    row_of[image_number(std::string(rows.text(row, "rlnImageName")), raw_star)] = row;
  const char* const labels[] = {"rlnAngleRot",     "rlnAngleTilt",    "rlnAnglePsi",
                                "rlnOriginXAngst", "rlnOriginYAngst", "rlnRandomSubset"};
  for (const char* label : labels)
    if (!rows.has(label)) rows.add_column(label);
  std::vector<std::size_t> kept;
  for (std::size_t row = 0; row < poses.rows(); ++row) {
    const std::string name(poses.text(row, "rlnImageName"));
    const auto found = row_of.find(image_number(name, refined_star));
    if (found == row_of.end())
      throw InputError({refined_star, "rlnImageName", name, "an image that " + raw_star + " lists", ""});
    for (const char* label : labels) rows.set(found->second, label, std::string(poses.text(row, label)));
    kept.push_back(found->second);
  }
  std::sort(kept.begin(), kept.end());
  rows.keep_rows(kept);
  write_star(out, star);
}

bool reconstruct_raw(const std::string& star, const std::string& folder, const std::string& name, const Truth& truth,
                     RawMapScore& score, const std::function<bool()>& cancelled) {
  const auto map_path = [&](int half) {
    return (fs::path(folder) / (name + (half ? fmt::format("_half{}", half) : "") + ".mrc")).string();
  };
  // Poses change with the options of the refinement; maps of others go before the digest does.
  const fs::path made_of = fs::path(folder) / (name + ".sha256");
  const std::string digest = sha256_file(star) + "\n";
  std::string known;
  if (std::ifstream file(made_of); file) known.assign(std::istreambuf_iterator<char>(file), {});
  if (known != digest) {
    for (const int half : {0, 1, 2}) fs::remove(map_path(half));
    fs::create_directories(folder);
    write_text_atomically(made_of.string(), digest);
  }
  std::vector<Map> maps;
  for (const int half : {0, 1, 2}) {
    const std::string file = map_path(half);
    if (!fs::exists(file)) {
      const std::string unfinished = file.substr(0, file.size() - 4) + "_unfinished.mrc";
      if (!run_relion_reconstruct(star, unfinished, true, half, cancelled)) return false;
      fs::rename(unfinished, file);
    }
    maps.push_back(read_mrc(file));
  }
  score.map = score_map(maps[0], truth, kAnglesPadding);
  const std::vector<double> halves = fsc_without_mask(maps[1], maps[2], kAnglesPadding);
  score.half_map_resolution = resolution_at(halves, 0.143, truth.map.nx, truth.pixel_size);
  return true;
}

}  // namespace cryored
