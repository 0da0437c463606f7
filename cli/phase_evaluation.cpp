#include "cli/phase_evaluation.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cli/installation.hpp"
#include "cli/phase_optics_options.hpp"
#include "evaluation/phase_json.hpp"

namespace cryored {

using Json = nlohmann::ordered_json;

Json to_json(const PhaseSceneOptions& o) {
  Json json = {{"box", o.box}, {"pixel_size_A", o.pixel_size}};
  json.update(optics_json(o));
  json.update(Json{{"views", o.views}, {"exposures", o.exposures}, {"blanks", o.blanks}, {"seed", o.seed}});
  return json;
}

std::vector<PhaseComparison> compare_methods(const PhaseEvaluation& e) {
  std::vector<PhaseComparison> comparisons;
  if (e.candidate.empty()) return comparisons;
  const auto mine = static_cast<std::size_t>(
      std::find(e.results.methods.begin(), e.results.methods.end(), e.candidate) - e.results.methods.begin());
  for (const bool mean : {false, true})
    for (const PhaseCell& cell : e.results.cells)
      for (std::size_t m = 0; m < e.methods.size(); ++m) {
        if (m == mine) continue;
        PhaseComparison c = compare_phases(cell.scores[mine], cell.scores[m], e.scene.exposures, mean);
        c.structure = cell.structure;
        c.dose = cell.dose;
        c.baseline = e.methods[m].word;
        comparisons.push_back(std::move(c));
      }
  return comparisons;
}

Json evaluation_json(const PhaseEvaluation& e) {
  const BuildInfo build = build_info();
  Json json = {{"schema", "cryored-phase-evaluation"},
               {"version", 1},
               {"program", {{"version", build.version}, {"commit", build.commit}}},
               {"command", e.command},
               {"scene", to_json(e.scene)},
               {"doses", e.doses},
               {"methods", Json::array()},
               {"structures", Json::array()},
               {"medians", Json::array()},
               {"cells", Json::array()}};
  for (const NamedPhaseMethod& m : e.methods) {
    json["methods"].push_back({{"name", m.word}, {"description", m.method->description()}});
    if (!m.weights.empty()) {
      json["methods"].back()["weights"] = m.weights;
      json["methods"].back()["weights_file_sha256"] = m.weights_sha256;
    }
  }
  for (std::size_t i = 0; i < e.structures; ++i)
    json["structures"].push_back({{"name", e.molecules[i].name},
                                  {"sha256", e.molecules[i].sha256},
                                  {"radius_A", e.molecules[i].structure.radius},
                                  {"wrong_molecule", e.molecules[e.molecules[i].other].name}});
  for (const double dose : e.doses)
    for (std::size_t m = 0; m < e.methods.size(); ++m) {
      std::vector<const PhaseScore*> scores;
      for (const PhaseCell& cell : e.results.cells)
        if (cell.dose == dose) scores.push_back(&cell.scores[m]);
      json["medians"].push_back({{"dose", dose}, {"method", e.methods[m].word}, {"score", to_json(summarise(scores))}});
    }
  for (const PhaseCell& cell : e.results.cells)
    for (std::size_t m = 0; m < e.methods.size(); ++m)
      json["cells"].push_back({{"structure", cell.structure},
                               {"dose", cell.dose},
                               {"method", e.methods[m].word},
                               {"median", to_json(summarise({&cell.scores[m]}))},
                               {"particles", to_json(cell.scores[m])}});
  if (!e.candidate.empty()) {
    json["candidate"] = e.candidate;
    json["goals"] = {{"area_ratio", PhaseGoals{}.area_ratio}, {"frc_0.5", "not worse"}};
    json["comparisons"] = Json::array();
    for (const PhaseComparison& c : e.comparisons) json["comparisons"].push_back(to_json(c));
    if (!e.comparisons.empty()) json["verdict"] = verdict_lines(e.candidate, e.comparisons);
  }
  return json;
}

ReportPage evaluation_page(const PhaseEvaluation& e) {
  ReportPage page(
      "Phase retrieval against known phases",
      fmt::format("Simulated exposures of {} structures in ice: {} views of each, {} exposures of each "
                  "view, box {} at {:g} A, "
                  "{:g} kV, Cs {:g} mm, amplitude contrast {:g}, defocus {} A. Fourier ring correlation "
                  "with the true phase of "
                  "the exit wave under a soft disc; area: its mean over all rings to Nyquist.",
                  e.structures, e.scene.views, e.scene.exposures, e.scene.box, e.scene.pixel_size, e.scene.ctf.voltage,
                  e.scene.ctf.spherical_aberration, e.scene.ctf.amplitude_contrast, e.defocus));
  page.heading("All structures");
  page.table(phase_table(e.results));
  page.paragraph(
      "Medians over all particles. In outline: the same under the outline of the truth instead of the disc, so that "
      "finding out where the particle is not brings nothing. Contrast: (mean on the particle - mean outside the "
      "disc) / SD outside. Blank: "
      "exposures of ice "
      "alone; their power in the disc over that with the particle, the area of the FRC of what is made of them with "
      "the truth, and of two of them with each other: what a method paints on nothing. Wrong molecule: by how much "
      "the "
      "area of the FRC with another molecule exceeds what both truths share, in the view where it is largest; noise "
      "alone makes that larger than 0, compare with the filters.");
  page.heading("Single images, by structure");
  page.table(phase_structure_table(e.results, false));
  page.heading(fmt::format("Mean of {}, by structure", e.scene.exposures));
  page.table(phase_structure_table(e.results, true));
  if (!e.candidate.empty()) {
    page.heading("Verdict on " + phase_method_title(e.candidate));
    for (const std::string& line : verdict_lines(e.candidate, e.comparisons)) page.paragraph(line);
    if (!e.comparisons.empty()) {
      page.table(phase_comparison_table(e.comparisons));
      page.paragraph("95 %: views drawn anew. Larger in: share of the same particles whose area is larger.");
    }
  }
  add_phase_sections(page, e.results);
  page.heading("How it was run");
  page.code(e.command);
  for (const NamedPhaseMethod& m : e.methods)
    page.paragraph(m.word + ": " + m.method->description() +
                   (m.weights_sha256.empty() ? "" : ", SHA-256 of the weights file " + m.weights_sha256));
  return page;
}

}  // namespace cryored
