#pragma once
// The outcome of cryored evaluate phase: comparisons, results.json, page.

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/phase_methods.hpp"
#include "evaluation/phase_page.hpp"
#include "evaluation/phase_scene.hpp"
#include "evaluation/phase_verdict.hpp"
#include "evaluation/refine_page.hpp"
#include "simulation/structures.hpp"

namespace cryored {

struct EvaluatedMolecule {
  std::string name, path, sha256;
  Structure structure;
  std::size_t other = 0;  ///< index of the wrong molecule
};

struct PhaseEvaluation {
  std::string command;  ///< as it was called
  PhaseSceneOptions scene;
  std::string defocus;  ///< of the scene, as it was given
  std::vector<double> doses;
  std::vector<EvaluatedMolecule> molecules;  ///< behind those that are evaluated, perhaps, a wrong one for all
  std::size_t structures = 0;                ///< number of those that are evaluated
  std::vector<NamedPhaseMethod> methods;
  std::string candidate;  ///< the method held against all others; empty: none
  PhaseResults results;
  std::vector<PhaseComparison> comparisons;  ///< of compare_methods()
};

nlohmann::ordered_json to_json(const PhaseSceneOptions& options);

/// The candidate against every other method, on single images and means, in each cell.
std::vector<PhaseComparison> compare_methods(const PhaseEvaluation& evaluation);

nlohmann::ordered_json evaluation_json(const PhaseEvaluation& evaluation);
ReportPage evaluation_page(const PhaseEvaluation& evaluation);

}  // namespace cryored
