// The benchmark as data: its file, the names of its cells, the records of finished ones.
#include "evaluation/benchmark.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <random>
#include <set>
#include <sstream>

#include "core/base/error.hpp"
#include "core/base/temporary_folder.hpp"
#include "core/fourier/shells.hpp"
#include "evaluation/benchmark_record.hpp"
#include "evaluation/benchmark_run.hpp"
#include "evaluation/cell.hpp"
#include "evaluation/compressed_map.hpp"
#include "simulation/data_set.hpp"

namespace fs = std::filesystem;

namespace cryored {
namespace {

const std::string kHead = R"({"schema": "cryored-refine-benchmark", "version": 1, "stop_rule": {"plain_minutes": 60},)";

std::string with_group(const std::string& fields) { return kHead + R"("groups": [{"name": "g", )" + fields + "}]}"; }

TEST(BenchmarkFile, OfTheRepositoryIsWhatItsDocumentSays) {
  const Benchmark benchmark = read_benchmark(CRYORED_BENCHMARK);
  std::set<std::string> structures, names;
  int plain = 0, large = 0;
  for (const BenchmarkCell& cell : benchmark.cells) {
    EXPECT_TRUE(names.insert(cell.name()).second) << cell.name();
    structures.insert(cell.structure);
    large += cell.large;
    if (cell.group == "plain" && cell.mode == "plain") {
      ++plain;
      EXPECT_EQ(cell.particles.count, 2000);
      EXPECT_EQ(cell.relion.local_healpix_order, 3);
      EXPECT_EQ(cell.relion.random_seed, 1);
    }
  }
  EXPECT_EQ(structures, (std::set<std::string>{"1XU1", "3H11", "3L89", "4LW4"}));
  EXPECT_EQ(plain, 16);
  EXPECT_GE(large, 4);
  EXPECT_TRUE(names.contains("4LW4_box48_n2000_snr0.2/plain"));
  EXPECT_TRUE(names.contains("3H11_box48_n2000_snr0.1_seed3/cw-red"));
  EXPECT_TRUE(names.contains("4LW4_box48_n2000_snr0.1_ctf_coloured/plain"));
  EXPECT_TRUE(names.contains("4LW4_box80_n2000_snr0.5_1.5A/plain"));
  EXPECT_TRUE(names.contains("4LW4_box96_n10000_factor0.014_1.5A/red"));
  EXPECT_EQ(benchmark.rule.hopeless, 20);
  EXPECT_EQ(benchmark.rule.plain_seconds, 4 * 3600);
  // Every data set with a refinement by the denoiser has its plain one.
  for (const BenchmarkCell& cell : benchmark.cells)
    EXPECT_TRUE(cell.mode == "known-angles" || names.contains(cell.data_set() + "/plain")) << cell.name();
}

TEST(BenchmarkFile, OtherStructuresTakeThePlaceOfAll) {
  const Benchmark benchmark = read_benchmark(CRYORED_BENCHMARK, {"1abc"});
  std::set<std::string> structures;
  for (const BenchmarkCell& cell : benchmark.cells) structures.insert(cell.structure);
  EXPECT_EQ(structures, std::set<std::string>{"1ABC"});
}

TEST(BenchmarkFile, GroupsOverrideWhatIsCommon) {
  const Benchmark b = parse_benchmark(kHead + R"("particles": {"count": 300, "box": 32}, "relion": {"padding": 2},
                 "groups": [{"name": "a", "structures": ["1aaa"], "snr": [0.1], "modes": ["plain", "red"], "seeds": [1, 7]},
                            {"name": "b", "structures": ["1AAA"], "snr": [0.1], "particles": {"box": 64},
                             "relion": {"ranks": 5}, "modes": ["plain"]}]})",
                                      "f");
  ASSERT_EQ(b.cells.size(), 5u);
  EXPECT_EQ(b.cells[0].name(), "1AAA_box32_n300_snr0.1/plain");
  EXPECT_EQ(b.cells[3].name(), "1AAA_box32_n300_snr0.1_seed7/red");
  EXPECT_EQ(b.cells[3].relion.random_seed, 7);
  EXPECT_EQ(b.cells[3].particles.seed, 7u);
  EXPECT_EQ(b.cells[4].particles.box, 64u);
  EXPECT_EQ(b.cells[4].particles.count, 300);
  EXPECT_EQ(b.cells[4].relion.padding, 2);
  EXPECT_EQ(b.cells[4].relion.ranks, 5);
  EXPECT_EQ(b.cells[0].relion.ranks, 3);
}

TEST(BenchmarkFile, BadInputIsNamedWithItsField) {
  const struct {
    std::string text;
    const char* named;
  } cases[] = {
      {"{", "JSON"},
      {"[]", "an object"},
      {R"({"schema": "other"})", "schema"},
      {R"({"schema": "cryored-refine-benchmark", "version": 2})", "version"},
      {R"({"schema": "cryored-refine-benchmark", "version": 1})", "stop_rule"},
      {kHead + R"("groups": []})", "groups"},
      {with_group(R"("structures": ["A"], "snr": [0.1], "modes": ["plain"], "colour": 1)"), "groups[0].colour"},
      {with_group(R"("structures": ["A"], "snr": [0.1], "modes": ["fancy"])"), "fancy"},
      {with_group(R"("structures": [], "snr": [0.1], "modes": ["plain"])"), "structures"},
      {with_group(R"("structures": ["A"], "modes": ["plain"])"), "snr or factor"},
      {with_group(R"("structures": ["A"], "snr": [0.1], "factor": [0.1], "modes": ["plain"])"), "snr or factor"},
      {with_group(R"("structures": ["A"], "snr": [-1], "modes": ["plain"])"), "groups[0].snr"},
      {with_group(R"("structures": ["A"], "snr": [0.1], "modes": ["plain"], "particles": {"box": 31})"),
       "groups[0].particles.box"},
      {with_group(R"("structures": ["A"], "snr": [0.1], "modes": ["plain"], "particles": {"count": 20.5})"), "whole"},
      {with_group(
           R"("structures": ["A"], "snr": [0.1], "modes": ["plain"], "particles": {"ctf": {"defocus_A": [2, 1]}})"),
       "groups[0].particles.ctf.defocus_A"},
      {with_group(R"("structures": ["A"], "snr": [0.1], "modes": ["plain"], "relion": {"ranks": 2})"),
       "groups[0].relion.ranks"},
      {kHead + R"("groups": [{"name": "a", "structures": ["A"], "snr": [0.1], "modes": ["plain"]},
                             {"name": "b", "structures": ["A"], "snr": [0.1], "modes": ["plain"], "relion": {"padding": 2}}]})",
       "other options than in group a"},
  };
  for (const auto& one : cases) {
    try {
      parse_benchmark(one.text, "the-file.json");
      ADD_FAILURE() << one.text;
    } catch (const InputError& e) {
      EXPECT_NE(std::string(e.what()).find(one.named), std::string::npos) << e.what();
      EXPECT_NE(std::string(e.what()).find("the-file.json"), std::string::npos) << e.what();
    }
  }
  EXPECT_THROW(read_benchmark("/nonexistent.json"), SystemError);
}

TEST(BenchmarkModes, PartsAndLimits) {
  EXPECT_EQ(mode_parts("red-gaussian-noise").base, "red");
  EXPECT_EQ(mode_parts("red-gaussian-noise").label, "gaussian-noise");
  EXPECT_EQ(mode_parts("cw-red").base, "cw-red");
  EXPECT_EQ(mode_parts("cw-red-x").label, "x");
  EXPECT_FALSE(mode_parts("plain").denoises);
  EXPECT_FALSE(mode_parts("gaussian").denoises);
  EXPECT_TRUE(mode_parts("plain+denoise").denoises);
  EXPECT_FALSE(mode_parts("plain+denoise").refines);
  for (const char* bad : {"", "plain-x", "red-", "red-a/b", "known", "Red"})
    EXPECT_THROW(mode_parts(bad), UsageError) << bad;
  StopRule rule;
  rule.iterations_beyond_plain = 4;
  EXPECT_EQ(iteration_limit(rule, RunEnd::converged, 9), 13);
  rule.most_iterations = 11;
  EXPECT_EQ(iteration_limit(rule, RunEnd::converged, 9), 11);
  EXPECT_EQ(iteration_limit(rule, RunEnd::hopeless, 5), 5);
  EXPECT_EQ(iteration_limit(rule, RunEnd::time_limit, 3), 3);
}

TEST(BenchmarkModes, PatternsFitNamesAndGroups) {
  BenchmarkCell cell;
  cell.group = "main";
  cell.structure = "4LW4";
  cell.mode = "cw-red";
  EXPECT_TRUE(fits(cell, ""));
  EXPECT_TRUE(fits(cell, "main"));
  EXPECT_TRUE(fits(cell, "x,*/cw-red"));
  EXPECT_TRUE(fits(cell, "4LW4*"));
  EXPECT_FALSE(fits(cell, "*/red"));
  EXPECT_FALSE(fits(cell, "mai"));
}

CellRecord some_record() {
  CellRecord r;
  r.data_set = "1AAA_box16_n100_snr0.1";
  r.structure = "1AAA";
  r.mode = "red";
  r.group = "main";
  r.particles = R"({"box":16,"count":100,"snr":0.1,"seed":3})";
  r.seed = 3;
  r.snr = 0.1;
  r.weights = {"w", "0123456789abcdef", ""};
  r.relion_version = "3.1.3";
  r.command = {"relion_refine_mpi", "--o", "run"};
  r.end = "converged";
  r.seconds = 12.5;
  RefinementScore& s = r.score;
  s.box = 16;
  s.pixel_size = 2.5;
  s.final_kind = "joined";
  s.final_map.fsc = s.final_map.fsc_masked = s.final_half_fsc = {1, 0.987654321, 0.4, 0, 0, 0, 0, 0, -0.01};
  s.final_map.resolution = 20.123456;
  s.final_map.resolution_masked = std::numeric_limits<double>::infinity();
  s.final_half_map_resolution = 15;
  s.angle_median = 3.2;
  s.angle_histogram = share_per_2_degrees({1, 1, 3, 500});
  s.raw = s.final_map;
  return r;
}

TEST(BenchmarkRecord, OnlyModesThatReadTheTableDependOnIt) {
  const std::string file(64, 'f'), network(64, 'e');
  const WeightsIdentity weights{"w", file, network};
  EXPECT_EQ(weights.key("per-shell"), file);
  EXPECT_EQ(weights.key("per-shell-own"), file);
  EXPECT_EQ(weights.key("default"), file) << "per-shell, where the weights have a table";
  for (const char* mode : {"red", "cw-red", "red-gaussian-noise", "plain+denoise"})
    EXPECT_EQ(weights.key(mode), network) << mode;
  EXPECT_EQ((WeightsIdentity{"w", file, ""}.key("red")), file)
      << "a record from before the network's digest stood in it";

  const TemporaryFolder folder;
  CellRecord record = some_record();
  record.weights.network_sha256 = network;
  EXPECT_TRUE(write_record(folder.path().string(), record, nullptr).ends_with("/red@eeeeeeee.json"));
  const auto back = read_record(folder.path().string(), record.data_set, "red", network);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->key(), network);
  EXPECT_EQ(back->weights.sha256, record.weights.sha256);
}

TEST(BenchmarkRecord, NetworksThatARefinementChoosesBetweenHaveAJointIdentity) {
  const WeightsIdentity coarse{"coarse", "11", "aa"}, fine{"fine", "22", "bb"}, other_table{"fine", "33", "bb"};
  EXPECT_EQ(joint_identity({coarse}, "rule").sha256, "11");
  const WeightsIdentity both = joint_identity({coarse, fine}, "rule");
  EXPECT_EQ(both.name, "coarse+fine");
  EXPECT_EQ(both.sha256.size(), 64u);
  EXPECT_NE(both.sha256, both.network_sha256);
  const WeightsIdentity another = joint_identity({coarse, other_table}, "rule");
  EXPECT_NE(another.key("per-shell"), both.key("per-shell"));
  EXPECT_EQ(another.key("red"), both.key("red"));
  const WeightsIdentity otherwise = joint_identity({coarse, fine}, "another rule");
  EXPECT_NE(otherwise.key("per-shell"), both.key("per-shell"));
  EXPECT_NE(otherwise.key("red"), both.key("red"));
}

TEST(BenchmarkRecord, ReadsBackWhatItWrote) {
  const TemporaryFolder folder;
  Map map(16, 16, 16);
  for (std::size_t i = 0; i < map.size(); ++i)
    map.data[i] = 1e-6f * static_cast<float>(std::sin(0.1 * static_cast<double>(i)));
  const CellRecord record = some_record();
  const std::string path = write_record(folder.path().string(), record, &map);
  EXPECT_TRUE(path.ends_with("1AAA_box16_n100_snr0.1/red@01234567.json")) << path;
  const std::vector<CellRecord> all = read_records(folder.path().string());
  ASSERT_EQ(all.size(), 1u);
  const CellRecord& back = all[0];
  EXPECT_EQ(back.mode, "red");
  EXPECT_EQ(back.weights.sha256, record.weights.sha256);
  EXPECT_EQ(back.command, record.command);
  EXPECT_EQ(back.requested_snr(), 0.1);
  EXPECT_EQ(back.seed, 3u);
  EXPECT_NEAR(back.score.final_map.resolution, 20.123456, 1e-3);
  EXPECT_TRUE(std::isinf(back.score.final_map.resolution_masked));
  EXPECT_NEAR(back.score.final_map.fsc[1], 0.987654321, 1e-4);
  ASSERT_TRUE(back.score.raw);
  EXPECT_FALSE(back.score.angles_found);
  ASSERT_EQ(back.score.angle_histogram.size(), 90u);
  EXPECT_EQ(back.score.angle_histogram[0], 0.5);
  EXPECT_EQ(back.score.angle_histogram[89], 0.25);
  // Three digits of float16, whatever the scale of the map.
  const Map kept = read_compressed_map(back.map_path());
  for (std::size_t i = 0; i < map.size(); ++i)
    ASSERT_NEAR(kept.data[i] / back.map_scale, map.data[i], 1e-6 * 1e-3) << i;
  EXPECT_TRUE(read_record(folder.path().string(), record.data_set, "red", record.weights.sha256));
  EXPECT_FALSE(read_record(folder.path().string(), record.data_set, "red", "another0"));
  EXPECT_TRUE(read_records("/nonexistent").empty());
}

TEST(BenchmarkRecord, OfAnOlderScoreIsComparedAgainFromTheKeptMap) {
  const TemporaryFolder folder;
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  Map truth(16, 16, 16), map(16, 16, 16);
  for (std::size_t i = 0; i < map.size(); ++i) {
    truth.data[i] = normal(random);
    map.data[i] = truth.data[i] + normal(random);
  }
  const std::string path = write_record(folder.path().string(), some_record(), &map);
  const std::string known = (folder.path() / "truth.mrc.gz").string();
  write_compressed_map(known, truth, 2.5);
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  std::string old = text.str();
  const std::string version = R"("schema":"cryored-refine-score","version":)";
  ASSERT_NE(old.find(version + "3"), std::string::npos);
  old.replace(old.find(version), version.size() + 1, version + "1");
  std::ofstream(path) << old;

  CellRecord record = read_records(folder.path().string()).at(0);
  ASSERT_TRUE(record.score.final_map.fsc.empty());
  ASSERT_TRUE(rescore(record, known, 1));
  const CellRecord back = read_records(folder.path().string()).at(0);
  const std::vector<double> expected = fsc_without_mask(map, truth, 1);
  ASSERT_EQ(back.score.final_map.fsc.size(), expected.size());
  for (std::size_t s = 0; s < expected.size(); ++s) EXPECT_NEAR(back.score.final_map.fsc[s], expected[s], 1e-3) << s;
  EXPECT_NEAR(40 / back.score.final_map.resolution, crossing_shell(expected, 0.5), 0.02);
  EXPECT_EQ(back.score.final_map.fsc_masked, record.score.final_map.fsc_masked);
  EXPECT_TRUE(std::isnan(back.score.angle_median)) << "only the particles could tell it again";
  EXPECT_NEAR(back.map_scale, record.map_scale, 1e-3 * record.map_scale);

  record.map_scale = 0;  // known-angles keep none
  EXPECT_FALSE(rescore(record, known, 1));
}

TEST(BenchmarkRecord, IsReusedForTheSameOptionsAndStructureOnly) {
  const TemporaryFolder folder;
  const std::string structure = (folder.path() / "1AAA.pdb").string();
  std::ofstream(structure) << "ATOM";
  BenchmarkCell cell;
  cell.structure = "1AAA";
  cell.mode = "red";
  CellRecord record = some_record();
  record.path = "/results/red.json";
  record.particles = particle_options_json(cell.particles);
  RelionJob job;
  job.options = cell.relion;
  job.options.particle_diameter = 95;
  job.options.max_iterations = 7;
  job.options.extra = {"--cpu"};
  job.external = "cryored-reconstruct";
  record.command = relion_command(job, {});
  const std::optional<std::vector<std::string>> no_words = std::vector<std::string>();
  const auto check = [&] {
    require_same_data(record, cell, structure);
    require_same_options(record, cell, no_words);
  };
  EXPECT_NO_THROW(check()) << "a record without the structure's digest; another limit, CPU or GPU";
  const auto refused = [&](const std::function<void()>& change, const std::vector<std::string>& named) {
    const BenchmarkCell cell_before = cell;
    const CellRecord record_before = record;
    change();
    try {
      check();
      ADD_FAILURE() << named[0];
    } catch (const InputError& e) {
      for (const std::string& part : named)
        EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << part << ": " << e.what();
      EXPECT_NE(std::string(e.what()).find("/results/red.json"), std::string::npos) << e.what();
      EXPECT_NE(std::string(e.what()).find("--results"), std::string::npos) << e.what();
    }
    cell = cell_before;
    record = record_before;
  };
  refused([&] { cell.particles.b_factor = 120; }, {"particles.b_factor_A2", "50", "120"});
  refused([&] { cell.particles.hydrogens = true; }, {"particles.hydrogens", "default", "true"});
  record.particles = R"({"box": 48, "count": 1000, "snr": 0.1, "seed": 1})";
  EXPECT_NO_THROW(check()) << "valid for what it states";
  refused([&] { cell.particles.count = 300; }, {"particles.count", "1000", "300"});
  refused([&] { cell.relion.healpix_order = 3; }, {"command", "--healpix_order 2", "--healpix_order 3"});
  refused([&] { cell.relion.padding = 2; }, {"command", "--pad 1", "--pad 2"});
  refused([&] { cell.relion.ranks = 5; }, {"command", "mpirun -n 3", "mpirun -n 5"});
  refused([&] { cell.relion.max_significant = 0; }, {"command", "--maxsig 500", "without --maxsig"});
  refused([&] { cell.relion.particle_diameter = 80; }, {"command", "--particle_diameter 95", "80"});
  refused([&] { record.command.insert(record.command.end(), {"--tau2_fudge", "4"}); }, {"--tau2_fudge 4", "without"});
  refused([&] { record.structure_sha256 = std::string(64, 'a'); }, {"structure_sha256", "aaaa", structure});
  record.command.insert(record.command.end(), {"--tau2_fudge", "4"});
  EXPECT_NO_THROW(require_same_options(record, cell, std::nullopt)) << "words beside the benchmark's, for a report";
  record.command.clear();  // known angles, plain+denoise
  cell.relion.padding = 2;
  EXPECT_NO_THROW(check());
  cell.relion.padding = 1;

  const TemporaryFolder results;
  record.structure_sha256 = std::string(64, 'a');
  write_record(results.path().string(), record, nullptr);
  EXPECT_EQ(read_records(results.path().string()).at(0).structure_sha256, record.structure_sha256);
}

TEST(BenchmarkRecord, OfTheRepositoryAreThoseOfItsBenchmark) {
  const Benchmark benchmark = read_benchmark(CRYORED_BENCHMARK);
  int compared = 0;
  for (const CellRecord& record : read_records((fs::path(CRYORED_BENCHMARK).parent_path() / "results").string()))
    for (const BenchmarkCell& cell : benchmark.cells)
      if (cell.data_set() == record.data_set && (cell.mode == record.mode || cell.mode == "default")) {
        EXPECT_NO_THROW(require_same_data(record, cell, "")) << record.path;
        EXPECT_NO_THROW(require_same_options(record, cell, std::vector<std::string>())) << record.path;
        ++compared;
      }
  EXPECT_GT(compared, 100);
}

TEST(BenchmarkRecord, DataSetsOfOneDensityShareATruth) {
  ParticleOptions o;
  const auto name = [&] { return fs::path(truth_path("r", "4LW4", o)).filename().string(); };
  EXPECT_EQ(name(), "4LW4_box48_2.5A.mrc.gz");
  o.snr = 0.4;
  o.seed = 3;
  o.count = 10;
  EXPECT_EQ(name(), "4LW4_box48_2.5A.mrc.gz");
  o.b_factor = 80;
  EXPECT_EQ(name(), "4LW4_box48_2.5A_B80.mrc.gz");
  o.factor = 0.014;
  EXPECT_EQ(name(), "4LW4_box48_2.5A_pdb2mrc3A.mrc.gz");
  o.hydrogens = true;
  EXPECT_EQ(name(), "4LW4_box48_2.5A_pdb2mrc3A_hydrogens.mrc.gz");
  // Those that are stored.
  const std::string results = (fs::path(CRYORED_BENCHMARK).parent_path() / "results").string();
  std::set<std::string> data_sets;
  for (const CellRecord& record : read_records(results)) data_sets.insert(record.data_set);
  for (const BenchmarkCell& cell : read_benchmark(CRYORED_BENCHMARK).cells)
    EXPECT_TRUE(!data_sets.contains(cell.data_set()) || fs::exists(truth_path(results, cell.structure, cell.particles)))
        << cell.data_set();
}

TEST(BenchmarkRecord, DamageIsNamed) {
  const TemporaryFolder folder;
  Map map(16, 16, 16);
  map.fill(1);
  const std::string path = write_record(folder.path().string(), some_record(), &map);
  CellRecord record = read_records(folder.path().string()).at(0);
  fs::resize_file(record.map_path(), fs::file_size(record.map_path()) - 6);
  EXPECT_THROW(read_compressed_map(record.map_path()), InputError);
  std::ofstream(path) << "{}";
  EXPECT_THROW(read_records(folder.path().string()), InputError);
  std::string named;
  EXPECT_TRUE(read_records(folder.path().string(), [&](const std::string& at, const Error&) { named = at; }).empty());
  EXPECT_EQ(named, path);
}

TEST(BenchmarkRun, StandingFollowsRecordsWeightsAndLocks) {
  const TemporaryFolder folder;
  BenchmarkSetup setup;
  setup.cells = (folder.path() / "cells").string();
  setup.results = (folder.path() / "results").string();
  setup.weights = [](double) { return BenchmarkWeights{{"w", "0123456789abcdef", "fedcba9876543210"}, "w.crw"}; };
  BenchmarkCell cell;
  cell.structure = "1AAA";
  cell.particles.box = 16;
  cell.particles.count = 200;
  cell.mode = "red";
  EXPECT_EQ(standing(cell, setup, {}).state, CellState::needs_structure);
  setup.structures["1AAA"] = "1AAA.pdb";
  EXPECT_EQ(standing(cell, setup, {}).state, CellState::waits);
  cell.mode = "plain";
  EXPECT_EQ(standing(cell, setup, {}).state, CellState::open);
  cell.mode = "red-x";
  EXPECT_EQ(standing(cell, setup, {}).state, CellState::needs_weights);
  EXPECT_THROW(weights_of(cell, setup), UsageError);

  CellRecord record = some_record();
  record.data_set = cell.data_set();
  record.mode = "plain";
  record.weights.sha256.clear();
  record.seconds = 100;
  record.command.clear();
  record.particles = particle_options_json(cell.particles);
  write_record(setup.results, record, nullptr);
  std::vector<CellRecord> records = read_records(setup.results);
  ParticleOptions half = cell.particles;
  half.count = 100;
  records.at(0).particles = particle_options_json(half);
  cell.mode = "plain";
  EXPECT_EQ(standing(cell, setup, records).state, CellState::done);
  cell.mode = "red";
  const CellStanding next = standing(cell, setup, records);
  EXPECT_EQ(next.state, CellState::open);
  // The record is of 100 particles, the cell of 200.
  ASSERT_TRUE(next.left);
  EXPECT_DOUBLE_EQ(*next.left, 200);
  EXPECT_FALSE(time_guess(cell, {}));

  // Plain of other options sets no stop rule; nor does its own cell pass for done.
  RelionJob job;
  job.options = cell.relion;
  job.options.healpix_order = 3;
  CellRecord otherwise = record;
  otherwise.command = relion_command(job, {});
  write_record(setup.results, otherwise, nullptr);
  for (const char* mode : {"red", "plain"}) {
    cell.mode = mode;
    const CellStanding refused = standing(cell, setup, records);
    EXPECT_EQ(refused.state, CellState::refused) << mode;
    EXPECT_NE(refused.fault.find("--healpix_order 3"), std::string::npos) << refused.fault;
  }
  write_record(setup.results, record, nullptr);

  // Scored by an older version, and no map kept to score again: the cell is open again, with a map it is not.
  record.score.final_map.fsc.clear();
  const std::string path = write_record(setup.results, record, nullptr);
  cell.mode = "plain";
  EXPECT_EQ(standing(cell, setup, records).state, CellState::open);
  Map map(16, 16, 16);
  map.fill(1);
  EXPECT_EQ(write_record(setup.results, record, &map), path);
  EXPECT_EQ(standing(cell, setup, records).state, CellState::done);
}

}  // namespace
}  // namespace cryored
