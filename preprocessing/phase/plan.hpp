#pragma once
// How a job is cut into pieces, and what a killed run leaves so that the next one goes on.
//
// In OUTPUT/.cryored_phase/: plan.json (what makes two runs the same), journal.RANK (a line of JSON for each piece that
// is on the disk), and the files of preprocessing/ranks.hpp. Beside the results: the unfinished stacks.

#include <cstddef>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "core/particles/particle_set.hpp"
#include "core/particles/shared_stack.hpp"

namespace cryored {

/// A run of images of one group; the same for every number of ranks and threads.
struct PhaseChunk {
  std::size_t group = 0, first = 0, count = 0;  ///< index of the group; images within group.rows
};

/// Pieces of about 2 million pixels, at least 8 images.
std::vector<PhaseChunk> phase_chunks(const std::vector<ParticleGroup>& groups);

/// What happened to a piece.
struct PhaseRecord {
  std::size_t chunk = 0;
  MrcStatistics statistics;
  std::vector<BadParticle> bad;
};

std::string to_line(const PhaseRecord& record);  ///< without line end
/// The records of all journals in `folder`, by chunk; lines that were cut short by a kill do not count.
std::vector<PhaseRecord> read_journals(const std::string& folder);

/// Appends records to journal.RANK; a line is there as a whole or is ignored.
class Journal {
 public:
  Journal(const std::string& folder, int rank);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;
  void append(const std::string& lines);

 private:
  std::string path_;
  int fd_ = -1;
};

/// What makes two runs the same: program, method, parameters, the STAR file's content, size and time of each stack.
nlohmann::ordered_json phase_plan(const ParticleSet& set, const std::string& method,
                                  const nlohmann::ordered_json& more);

/// Throws InputError naming the first entry in which an unfinished run's plan differs from this one's.
void require_same_plan(const nlohmann::ordered_json& found, const nlohmann::ordered_json& now, const std::string& path);

}  // namespace cryored
