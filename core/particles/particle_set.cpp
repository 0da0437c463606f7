#include "core/particles/particle_set.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/base/error.hpp"

namespace cryored {
namespace {

constexpr std::size_t kOpenStacks = 16;

bool is_true(std::string_view text) { return text == "1" || text == "true" || text == "True" || text == "yes"; }

struct Flag {
  const char* label;
  const char* meaning;
};
constexpr Flag kCorrected[] = {{"rlnCtfDataArePhaseFlipped", "phase-flipped"},
                               {"rlnCtfDataAreCtfPremultiplied", "multiplied by their CTF"},
                               {"rlnCtfDataAreCtfCorrected", "corrected for their CTF"}};

void refuse_flags(const StarTable& table) {
  for (const Flag& flag : kCorrected) {
    const auto column = table.column(flag.label);
    if (!column) continue;
    for (std::size_t row = 0; row < table.rows(); ++row)
      if (is_true(table.text(row, *column)))
        throw InputError(Problem{table.file + ": data_" + table.name + ", row " + std::to_string(row + 1),
                                 std::string("_") + flag.label,
                                 std::string(table.text(row, *column)) + " (images already " + flag.meaning + ")", "0",
                                 "take the STAR file of the raw images (rlnReconstructImageName may name them)"});
  }
}

}  // namespace

ParticleSet::ParticleSet(const std::string& star_path, bool skip_bad) : star_(read_star(star_path)) {
  find_tables();
  refuse_corrected();
  ctf_.emplace(*particles_, optics_);
  find_groups();
  images_.resize(particles_->rows());
  for (std::size_t row = 0; row < particles_->rows(); ++row) {
    try {
      add_row(row);
    } catch (const InputError& error) {
      if (!skip_bad) throw;
      bad_.push_back({row, error.what()});
    }
  }
  std::erase_if(groups_, [](const ParticleGroup& group) { return group.rows.empty(); });
  if (groups_.empty())
    throw InputError(
        Problem{star_path, "data_" + particles_->name,
                bad_.empty() ? "no particles" : "no usable particle of " + std::to_string(bad_.size()), "at least one",
                bad_.empty() ? "check that this is the right file" : "first fault: " + bad_.front().problem});
}

void ParticleSet::find_tables() {
  optics_ = star_.find("optics");
  if (optics_) {
    particles_ = &star_.require("particles");
  } else {
    // RELION 3.0 writes one block without a name, or data_images.
    for (const StarTable& table : star_.tables)
      if (!particles_ && table.has("rlnImageName")) particles_ = &table;
    if (!particles_)
      throw InputError(Problem{star_.path, "blocks", "none with _rlnImageName",
                               "a particle STAR file of RELION 3.0 to 5", "check that this is the right file"});
  }
  particles_->require_column("rlnImageName");
}

void ParticleSet::refuse_corrected() const {
  if (optics_) refuse_flags(*optics_);
  refuse_flags(*particles_);
}

void ParticleSet::find_groups() {
  if (!optics_) return;
  particles_->require_column("rlnOpticsGroup");
  for (std::size_t row = 0; row < optics_->rows(); ++row) {
    ParticleGroup group;
    group.number = optics_->integer(row, "rlnOpticsGroup");
    group.optics_row = row;
    group.pixel_size = optics_->number(row, "rlnImagePixelSize");
    const std::string place = star_.path + ": data_optics, row " + std::to_string(row + 1);
    if (!(group.pixel_size >= kLeastPixelSize && group.pixel_size <= kMostPixelSize))
      throw InputError(Problem{place, "_rlnImagePixelSize", std::string(optics_->text(row, "rlnImagePixelSize")),
                               "0.01 to 1000 A", "correct the value"});
    if (optics_->has("rlnImageDimensionality") && optics_->integer(row, "rlnImageDimensionality") != 2)
      throw InputError(Problem{place, "_rlnImageDimensionality",
                               std::string(optics_->text(row, "rlnImageDimensionality")), "2",
                               "particles that are volumes (subtomograms) are not done"});
    if (optics_->has("rlnImageSize")) {
      const long box = optics_->integer(row, "rlnImageSize");
      if (box <= 0 || box % 2 != 0)
        throw InputError(Problem{place, "_rlnImageSize", std::to_string(box), "an even number of pixels",
                                 "extract the particles in an even box, as RELION asks"});
      group.box = static_cast<std::size_t>(box);
    }
    if (!group_index_.emplace(group.number, groups_.size()).second)
      throw InputError(Problem{place, "_rlnOpticsGroup", std::to_string(group.number) + " for the second time",
                               "each number once", "correct the optics table"});
    groups_.push_back(std::move(group));
  }
}

std::string ParticleSet::where(std::size_t row) const {
  return star_.path + ": data_" + particles_->name + ", row " + std::to_string(row + 1) + " (" +
         std::string(particles_->text(row, "rlnImageName")) + ")";
}

ParticleSet::Image ParticleSet::locate(std::size_t row) {
  const std::string_view name = particles_->text(row, "rlnImageName");
  const auto at = name.find('@');
  std::string_view path = name;
  unsigned long section = 1;
  if (at != std::string_view::npos) {
    path = name.substr(at + 1);
    const auto [stop, error] = std::from_chars(name.data(), name.data() + at, section);
    if (error != std::errc() || stop != name.data() + at || section == 0 || section > 0xffffffffu || path.empty())
      throw InputError(Problem{where(row), "_rlnImageName", std::string(name), "number@stack, the number from 1",
                               "correct the name, or export the particles again"});
  }
  auto found = stack_index_.find(path);
  if (found == stack_index_.end()) {
    MrcHeader header;
    const std::string note = " (names count from the working directory, RELION's project folder)";
    try {
      header = read_mrc_header(std::string(path));
    } catch (const SystemError& error) {
      throw SystemError(where(row) + ": " + error.what() + note);  // no fault of this particle
    } catch (const Error& error) {
      throw InputError(where(row) + ": " + error.what() + note);
    }
    found = stack_index_.emplace(std::string(path), static_cast<std::uint32_t>(stack_paths_.size())).first;
    stack_paths_.emplace_back(path);
    stack_headers_.push_back(header);
  }
  const MrcHeader& header = stack_headers_[found->second];
  if (at == std::string_view::npos && header.nz > 1)
    throw InputError(Problem{where(row), "_rlnImageName",
                             std::string(name) + ", " + std::to_string(header.nz) + " sections",
                             "number@stack, or a single image",
                             "name the image of the stack; particles that are volumes (subtomograms) are not done"});
  if (section > header.nz)
    throw InputError(Problem{where(row), "image number", std::to_string(section),
                             "1 to " + std::to_string(header.nz) + ", the images of the stack",
                             "the stack is shorter than the STAR file says: extract or copy it again"});
  if (header.nx != header.ny || header.nx % 2 != 0)
    throw InputError(Problem{where(row), "image size", std::to_string(header.nx) + " x " + std::to_string(header.ny),
                             "a square of an even number of pixels", "extract the particles again"});
  return {found->second, static_cast<std::uint32_t>(section - 1)};
}

double ParticleSet::pixel_size_30(std::size_t row) const {
  for (const char* label : {"rlnImagePixelSize", "rlnPixelSize"})
    if (particles_->has(label)) return particles_->number(row, label);
  if (particles_->has("rlnDetectorPixelSize") && particles_->has("rlnMagnification"))
    return particles_->number(row, "rlnDetectorPixelSize") * 1e4 / particles_->number(row, "rlnMagnification");
  throw InputError(Problem{star_.path, "pixel size", "nothing",
                           "_rlnDetectorPixelSize and _rlnMagnification, as RELION 3.0 writes them, or _rlnPixelSize",
                           "add the columns, or convert the file with relion_convert_star"});
}

ParticleGroup& ParticleSet::group_of(std::size_t row, std::size_t box) {
  if (optics_) {
    const long number = particles_->integer(row, "rlnOpticsGroup");
    const auto found = group_index_.find(number);
    if (found == group_index_.end())
      throw InputError(Problem{where(row), "_rlnOpticsGroup", std::to_string(number), "a group of data_optics",
                               "correct the number, or add the group"});
    return groups_[found->second];
  }
  const double pixel_size = pixel_size_30(row);
  if (!(pixel_size >= kLeastPixelSize && pixel_size <= kMostPixelSize))
    throw InputError(Problem{where(row), "pixel size", std::to_string(pixel_size), "0.01 to 1000 A",
                             "correct _rlnDetectorPixelSize and _rlnMagnification"});
  for (ParticleGroup& group : groups_)
    if (group.box == box && std::abs(group.pixel_size - pixel_size) < 1e-4 * pixel_size) return group;
  ParticleGroup group;
  group.number = static_cast<long>(groups_.size()) + 1;
  group.box = box;
  group.pixel_size = pixel_size;
  groups_.push_back(std::move(group));
  return groups_.back();
}

void ParticleSet::add_row(std::size_t row) {
  const Image image = locate(row);
  const std::size_t box = stack_headers_[image.stack].nx;
  ParticleGroup& group = group_of(row, box);
  if (group.box == 0) group.box = box;
  if (group.box != box)
    throw InputError(Problem{where(row), "image size", std::to_string(box) + " pixels",
                             std::to_string(group.box) + ", the size of optics group " + std::to_string(group.number),
                             "give images of another size an optics group of their own"});
  const CtfParameters parameters = ctf(row);
  try {
    Ctf check(parameters);
  } catch (const Error& error) {
    throw InputError(where(row) + ": " + error.what());
  }
  images_[row] = image;
  group.rows.push_back(row);
}

std::shared_ptr<const MrcFile> ParticleSet::open(std::uint32_t stack) const {
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(opened_.begin(), opened_.end(), [&](const auto& one) { return one.first == stack; });
  if (found != opened_.end()) {
    std::rotate(opened_.begin(), found, found + 1);
    return opened_.front().second;
  }
  auto file = std::make_shared<const MrcFile>(stack_paths_[stack]);
  // Images are read for hours, and a job that extracts them again may replace the stack meanwhile.
  const MrcHeader &now = file->header(), &then = stack_headers_[stack];
  const auto text = [](const MrcHeader& h) {
    return std::to_string(h.nx) + " x " + std::to_string(h.ny) + ", " + std::to_string(h.nz) + " images of mode " +
           std::to_string(h.mode);
  };
  if (now.nx != then.nx || now.ny != then.ny || now.nz != then.nz || now.mode != then.mode)
    throw SystemError(Problem{stack_paths_[stack], "size", text(now), text(then) + ", as when this run began",
                              "another program has replaced the stack: run again when it has ended"});
  opened_.insert(opened_.begin(), {stack, file});
  if (opened_.size() > kOpenStacks) opened_.pop_back();
  return file;
}

void ParticleSet::read_image(std::size_t row, float* out) const {
  const Image image = images_[row];
  std::shared_ptr<const MrcFile> file;
  try {
    file = open(image.stack);
    file->read_section(image.section, out);
  } catch (const SystemError& error) {
    throw SystemError(where(row) + ": " + error.what());
  } catch (const Error& error) {
    throw InputError(where(row) + ": " + error.what());
  }
  const std::size_t nx = file->header().nx, count = nx * file->header().ny;
  for (std::size_t i = 0; i < count; ++i)
    if (!std::isfinite(out[i]))
      throw InputError(Problem{where(row),
                               "pixel (x, y) = (" + std::to_string(i % nx) + ", " + std::to_string(i / nx) + ")",
                               std::isnan(out[i]) ? "NaN" : "Inf", "finite values",
                               "extract the particle again, or leave it out (--skip-bad)"});
}

}  // namespace cryored
