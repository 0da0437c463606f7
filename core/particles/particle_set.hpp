#pragma once
// Particles as RELION 3.0 to 5 list them: rows of a STAR file, images in stacks, one optics group or several.

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/formats/mrc.hpp"
#include "core/formats/star.hpp"
#include "core/imaging/ctf_star.hpp"

namespace cryored {

/// Particles that share box and pixel size: an optics group of RELION 3.1 to 5; for RELION 3.0, which has none, the
/// rows of one box and pixel size, numbered from 1 in order of appearance.
struct ParticleGroup {
  long number = 1;                        ///< rlnOpticsGroup
  std::optional<std::size_t> optics_row;  ///< in the optics table
  std::size_t box = 0;                    ///< pixels, even
  double pixel_size = 0;                  ///< A
  std::vector<std::size_t> rows;          ///< of the particle table, in its order, usable ones only
};

struct BadParticle {
  std::size_t row = 0;  ///< 0-based row of the particle table
  std::string problem;  ///< names file and row
};

/// Reads a particle STAR file and the headers of its stacks; images are read one by one. File names in it count from
/// the working directory, RELION's project folder.
class ParticleSet {
 public:
  /// Checks every row: image name, stack, section, box, CTF. Throws InputError that names the row for the first bad
  /// one, or, with `skip_bad`, keeps them in bad(). Throws InputError always for what concerns all rows: no particles,
  /// a missing column, an odd box or a wrong pixel size in the optics table, volumes, images flagged as phase-flipped
  /// or CTF-corrected; SystemError always: what the machine refuses is no particle's fault.
  explicit ParticleSet(const std::string& star_path, bool skip_bad = false);
  ParticleSet(const ParticleSet&) = delete;
  ParticleSet& operator=(const ParticleSet&) = delete;

  const StarFile& star() const { return star_; }
  const StarTable& particles() const { return *particles_; }
  const StarTable* optics() const { return optics_; }  ///< null for RELION 3.0
  const std::vector<ParticleGroup>& groups() const { return groups_; }
  const std::vector<BadParticle>& bad() const { return bad_; }  ///< by row
  /// The stacks, as the STAR file names them.
  const std::vector<std::string>& stacks() const { return stack_paths_; }

  /// "particles.star: data_particles, row 17 (000017@stack.mrcs)", for messages.
  std::string where(std::size_t row) const;
  CtfParameters ctf(std::size_t row) const { return ctf_->of_row(row); }
  /// The image of a usable row into out[box * box]. Throws InputError naming row and pixel when a value is not finite,
  /// SystemError when the stack is not the one of the beginning.
  /// May be called from several threads.
  void read_image(std::size_t row, float* out) const;

 private:
  struct Image {
    std::uint32_t stack, section;
  };
  void find_tables();
  void refuse_corrected() const;
  void find_groups();
  void add_row(std::size_t row);
  Image locate(std::size_t row);
  ParticleGroup& group_of(std::size_t row, std::size_t box);
  double pixel_size_30(std::size_t row) const;
  std::shared_ptr<const MrcFile> open(std::uint32_t stack) const;

  StarFile star_;
  const StarTable* particles_ = nullptr;
  const StarTable* optics_ = nullptr;
  std::optional<CtfTable> ctf_;
  std::vector<ParticleGroup> groups_;
  std::map<long, std::size_t> group_index_;
  std::vector<BadParticle> bad_;
  std::vector<Image> images_;
  std::vector<std::string> stack_paths_;
  std::vector<MrcHeader> stack_headers_;
  std::map<std::string, std::uint32_t, std::less<>> stack_index_;

  mutable std::mutex mutex_;
  mutable std::vector<std::pair<std::uint32_t, std::shared_ptr<const MrcFile>>> opened_;  ///< last used first
};

}  // namespace cryored
