#include "preprocessing/phase/relion_job.hpp"

#include <filesystem>

#include "core/base/atomic_file.hpp"
#include "core/formats/star.hpp"

namespace cryored {
namespace {

constexpr const char* kAbort = "RELION_JOB_ABORT_NOW";
constexpr const char* kExits[] = {"RELION_JOB_EXIT_SUCCESS", "RELION_JOB_EXIT_FAILURE", "RELION_JOB_EXIT_ABORTED"};

std::string in(const std::string& folder, const char* name) { return (std::filesystem::path(folder) / name).string(); }

}  // namespace

void clear_relion_marks(const std::string& folder) {
  std::error_code ignored;
  for (const char* name : kExits) std::filesystem::remove(in(folder, name), ignored);
  std::filesystem::remove(in(folder, kAbort), ignored);
}

void mark_relion_exit(const std::string& folder, RelionExit how) {
  write_text_atomically(in(folder, kExits[static_cast<int>(how)]), "");
  std::error_code ignored;
  if (how == RelionExit::aborted) std::filesystem::remove(in(folder, kAbort), ignored);
}

bool relion_wants_abort(const std::string& folder) {
  std::error_code ignored;
  return std::filesystem::exists(in(folder, kAbort), ignored);
}

void write_output_nodes(const std::string& folder, const std::string& particles_star) {
  StarTable table;
  table.name = "output_nodes";
  // RELION 3.1 reads the number (3: particle data), 4 and 5 the label.
  table.labels = {"rlnPipeLineNodeName", "rlnPipeLineNodeType", "rlnPipeLineNodeTypeLabel"};
  table.add_row({particles_star, "3", "ParticleGroupMetadata.star.relion"});
  StarFile file;
  file.tables.push_back(std::move(table));
  write_star(in(folder, "RELION_OUTPUT_NODES.star"), file);
}

}  // namespace cryored
