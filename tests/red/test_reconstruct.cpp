// The rules of docs/red.md: which map becomes the result, when the denoiser runs, what is refused.

#include <gtest/gtest.h>

#include <filesystem>

#include "core/base/error.hpp"
#include "core/reconstruct/gaussian.hpp"
#include "core/reconstruct/reconstruct.hpp"
#include "tests/red/request_fixture.hpp"

namespace cryored {
namespace {

using Prior = RedOptions::Prior;
using Kind = ReconstructPlan::Kind;

ReconstructRequest named(const std::string& stem, Synthetic s = {}) {
  return parse_request(star_text(stem, s, falling_tau2(s), stem + "_external_reconstruct.mrc"),
                       stem + "_external_reconstruct.star");
}

RedOptions with_pixel(double pixel = 2) {
  RedOptions options;
  options.pixel_size = pixel;
  return options;
}

TEST(Plan, FollowsTheDocumentedRules) {
  RedOptions options;
  ReconstructPlan plan = plan_for(named("j/run_it003_half2_class001"), options);
  EXPECT_EQ(plan.kind, Kind::half_map);
  EXPECT_TRUE(plan.denoise && plan.result_is_denoised && plan.beside.empty());

  plan = plan_for(named("j/run_it009_class001"), options);
  EXPECT_EQ(plan.kind, Kind::joined_map);
  EXPECT_TRUE(plan.denoise);
  EXPECT_FALSE(plan.result_is_denoised);
  EXPECT_EQ(plan.beside, "j/run_it009_class001_external_reconstruct_denoised.mrc");

  options.denoise_joined = true;
  plan = plan_for(named("j/run_it009_class001"), options);
  EXPECT_TRUE(plan.result_is_denoised && plan.beside.empty());

  Synthetic class3d;
  class3d.fsc_zero = true;
  plan = plan_for(named("j/run_it009_class002", class3d), options);
  EXPECT_EQ(plan.kind, Kind::class_map);
  EXPECT_TRUE(plan.denoise && plan.result_is_denoised);

  plan = plan_for(named("j/run_it009_half1_body002"), RedOptions());
  EXPECT_EQ(plan.kind, Kind::half_map);
  plan = plan_for(named("j/run_it009_body002"), RedOptions());
  EXPECT_EQ(plan.kind, Kind::joined_map);
  EXPECT_FALSE(plan.result_is_denoised);

  EXPECT_EQ(plan_for(named("j/anything"), RedOptions()).kind, Kind::other_map);

  ReconstructRequest image = named("j/run_it009_class001");
  image.dimensionality = 2;
  plan = plan_for(image, RedOptions());
  EXPECT_EQ(plan.kind, Kind::image);
  EXPECT_FALSE(plan.denoise || plan.result_is_denoised);

  options = RedOptions();
  options.prior = Prior::gaussian;
  plan = plan_for(named("j/run_it009_class001"), options);
  EXPECT_FALSE(plan.denoise || plan.result_is_denoised);
  EXPECT_TRUE(plan.beside.empty());
}

TEST(Decide, LambdaComesFromTheFscTheOptionOrThePrior) {
  // FSC 1 - 0.95 s / 14 meets 0.143 at shell 12.63 of 64 A: 5.067 A.
  const auto request = named("j/run_it003_half1_class001");
  ReconstructDecision d = decide(request, with_pixel());
  EXPECT_NEAR(*d.resolution.nominal, 64 / (14 * 0.857 / 0.95), 1e-3);
  EXPECT_NEAR(d.confidence.lambda, (10 - 64 / (14 * 0.857 / 0.95)) / 5.5, 1e-4);
  EXPECT_EQ(d.confidence.per_shell[15], 0);
  EXPECT_EQ(d.confidence.per_shell[10], d.confidence.lambda);
  EXPECT_TRUE(d.needs_denoiser);

  d = decide(request, with_pixel(4.2));  // twice the size: worse than 10 A
  EXPECT_EQ(d.confidence.lambda, 0);
  EXPECT_FALSE(d.needs_denoiser);
  EXPECT_NE(d.why_not.find("10.64 A"), std::string::npos) << d.why_not;

  RedOptions options = with_pixel(4.2);
  options.lambda = 0.3;
  EXPECT_EQ(decide(request, options).confidence.lambda, 0.3);
  options = with_pixel(4.2);
  options.prior = Prior::red;
  EXPECT_EQ(decide(request, options).confidence.lambda, 1);
  options = with_pixel(4.2);
  options.range_low = 15;
  EXPECT_GT(decide(request, options).confidence.lambda, 0.3);
}

TEST(Decide, AZeroFscColumnGivesLambdaZeroAndSaysSo) {
  Synthetic class3d;
  class3d.fsc_zero = true;
  const auto request = named("j/run_it003_class002", class3d);
  ReconstructDecision d = decide(request, with_pixel());
  EXPECT_FALSE(d.resolution.nominal);
  EXPECT_EQ(d.confidence.lambda, 0);
  EXPECT_FALSE(d.needs_denoiser);
  EXPECT_NE(d.why_not.find("unknown"), std::string::npos) << d.why_not;
  RedOptions options = with_pixel();
  options.lambda = 0.5;
  EXPECT_TRUE(decide(request, options).needs_denoiser);
}

TEST(Decide, ZeroTau2LeavesNothingForTheDenoiser) {
  auto request = named("j/run_it003_half1_class001");
  request.tau2.assign(request.tau2.size(), 0.0);
  RedOptions options = with_pixel();
  options.lambda = 1;
  const auto d = decide(request, options);
  EXPECT_FALSE(d.needs_denoiser);
  EXPECT_NE(d.why_not.find("tau2"), std::string::npos);
  options.lambda.reset();
  options.per_shell = ConfidenceTable{{0}, {0}, {0}, {1}};
  EXPECT_NE(decide(request, options).why_not.find("tau2"), std::string::npos) << "no lack of confidence";
}

TEST(Reconstruct, AMapThatIsNotFiniteIsNotWritten) {
  const TemporaryFolder folder;
  auto request = read_request(write_synthetic(folder, {}));
  request.tau2.assign(request.tau2.size(), 1e-320);
  RedOptions options = with_pixel();
  options.lambda = 0;
  try {
    reconstruct(request, options, nullptr);
    FAIL();
  } catch (const InputError& error) {
    const std::string message = error.what();
    for (const std::string& part : {request.star_path, std::string("rlnReferenceTau2"), std::string("NaN")})
      EXPECT_NE(message.find(part), std::string::npos) << message;
  }
  EXPECT_FALSE(std::filesystem::exists(request.result));
}

TEST(Decide, RefusesWhatIsOutOfRange) {
  const auto request = named("j/run_it003_half1_class001");
  RedOptions options = with_pixel();
  options.lambda = 1.2;
  EXPECT_THROW(decide(request, options), UsageError);
  options = with_pixel();
  options.range_low = 4;
  EXPECT_THROW(decide(request, options), UsageError);
  options = with_pixel();
  options.fsc_threshold = 0;
  EXPECT_THROW(decide(request, options), UsageError);
  options = with_pixel();
  options.symmetry = "Q4";
  EXPECT_THROW(decide(request, options), UsageError);
  EXPECT_THROW(decide(request, with_pixel(-1)), UsageError);
  EXPECT_THROW(decide(request, RedOptions()), InputError);  // no pixel size anywhere
  options = RedOptions();
  options.prior = Prior::gaussian;
  EXPECT_EQ(decide(request, options).pixel_size, 0);  // and none needed
  options = RedOptions();
  options.lambda = 0;
  EXPECT_FALSE(decide(request, options).needs_denoiser);
}

TEST(Reconstruct, HalfMapIsDenoisedAndReported) {
  const TemporaryFolder folder;
  const auto request = read_request(write_synthetic(folder, {}));
  FunctionDenoiser denoiser(2.3, [](const Map& map) { return scaled(map, 0.5f); });
  RedOptions options = with_pixel();
  options.symmetry = "C2";
  const ReconstructReport report = reconstruct(request, options, &denoiser);
  EXPECT_TRUE(report.denoiser_ran);
  EXPECT_EQ(denoiser.calls, 1);
  EXPECT_EQ(report.denoiser, "test function");
  EXPECT_EQ(report.decision.symmetry.name, "C2");
  EXPECT_NEAR(report.denoiser_boxes.voxel_size, 2.3, 2.3e-3);
  EXPECT_EQ(report.last_denoised_shell, 13);  // Nyquist of 2.3 A lies at shell 13.9
  EXPECT_EQ(report.lambda[13], report.decision.confidence.lambda);
  EXPECT_EQ(report.lambda[14], 0);
  EXPECT_EQ(report.result, request.result);
  EXPECT_TRUE(report.beside.empty());
  MrcHeader header;
  const Map result = read_mrc(request.result, &header);
  EXPECT_NEAR(header.pixel_size, 2, 1e-6);
  EXPECT_GT(relative_difference(result, reconstruct_gaussian(request, open_arrays(request)), 14), 0.02);
  double total = 0;
  for (const auto& [name, seconds] : report.seconds) {
    EXPECT_GE(seconds, -1e-6) << name;
    total += seconds;
  }
  EXPECT_GT(total, 0);
}

TEST(Reconstruct, EveryMapOfRedComesFromTheGpuThatIsAskedFor) {
  const TemporaryFolder folder;
  const auto request = read_request(write_synthetic(folder, {}));
  const std::string log = folder / "calls";
  setenv("CRYORED_CUDA_LIBRARY", CRYORED_TEST_FAKE_CUDA_LIBRARY, 1);
  setenv("FAKE_CUDA_LIBRARY_LOG", log.c_str(), 1);
  FunctionDenoiser denoiser(0, [](const Map& map) { return map; });
  RedOptions options = with_pixel();
  options.gridding.gpu = 1;
  reconstruct(request, options, &denoiser);
  unsetenv("CRYORED_CUDA_LIBRARY");
  unsetenv("FAKE_CUDA_LIBRARY_LOG");
  std::ostringstream calls;
  calls << std::ifstream(log).rdbuf();
  EXPECT_EQ(calls.str(), "gridding 1\ninverse 1\ngridding 1\ninverse 1\n")
      << "K and B/K, then K + tau^-2 and the result";
}

TEST(Reconstruct, FinalJoinedMapStaysTheWienerMap) {
  const TemporaryFolder folder;
  Synthetic s;
  s.stem = "run_it003_class001";
  const auto request = read_request(write_synthetic(folder, s));
  FunctionDenoiser denoiser(0, [](const Map& map) { return scaled(map, 0.5f); });
  RedOptions options = with_pixel();
  const ReconstructReport report = reconstruct(request, options, &denoiser);
  const Map gaussian = reconstruct_gaussian(request, open_arrays(request));
  EXPECT_EQ(relative_difference(read_mrc(request.result), gaussian, 32), 0);
  EXPECT_EQ(report.beside, folder / "run_it003_class001_external_reconstruct_denoised.mrc");
  const Map beside = read_mrc(report.beside);
  EXPECT_GT(relative_difference(beside, gaussian, 14), 0.02);

  options.denoise_joined = true;
  EXPECT_TRUE(reconstruct(request, options, &denoiser).beside.empty());
  EXPECT_FALSE(std::filesystem::exists(report.beside)) << "that of the earlier run goes";
  EXPECT_EQ(relative_difference(read_mrc(request.result), beside, 32), 0);

  for (const auto prior : {Prior::gaussian, Prior::red}) {  // no denoiser by the prior, and by lambda
    options.denoise_joined = false;
    options.prior = prior;
    options.lambda = prior == Prior::red ? std::optional(0.0) : std::nullopt;
    std::ofstream(report.beside) << "of an earlier run";
    EXPECT_TRUE(reconstruct(request, options, nullptr).beside.empty());
    EXPECT_FALSE(std::filesystem::exists(report.beside));
  }
}

TEST(Reconstruct, LambdaZeroNeedsNoDenoiserAndIsTheGaussianMap) {
  const TemporaryFolder folder;
  const auto request = read_request(write_synthetic(folder, {}));
  RedOptions options = with_pixel();
  options.lambda = 0;
  const ReconstructReport report = reconstruct(request, options, nullptr);
  EXPECT_FALSE(report.denoiser_ran);
  EXPECT_NE(report.decision.why_not.find("--lambda"), std::string::npos);
  EXPECT_LT(relative_difference(read_mrc(request.result), reconstruct_gaussian(request, open_arrays(request)), 32),
            1e-6);
}

TEST(Decide, ATableGivesEachShellItsLambda) {
  const auto request = named("j/run_it003_half1_class001");  // box 32, pixel 2 A: shell s at s / 64 per A
  RedOptions options = with_pixel();
  options.per_shell = ConfidenceTable{{0.0, 8.0 / 64, 12.0 / 64}, {0}, {0}, {1, 1, 0}};
  const ReconstructDecision d = decide(request, options);
  EXPECT_TRUE(d.confidence.by_shell && d.needs_denoiser);
  EXPECT_EQ(d.confidence.per_shell[8], 1);
  EXPECT_NEAR(d.confidence.per_shell[9], 0.75, 1e-12);
  EXPECT_NEAR(d.confidence.per_shell[11], 0.25, 1e-12);
  EXPECT_EQ(d.confidence.per_shell[12], 0);
  EXPECT_EQ(d.confidence.per_shell[16], 0) << "beyond the cut";
  EXPECT_NEAR(d.confidence.lambda, (9 + 1.5) / 15, 1e-12) << "mean over the shells 0 .. 14";
  EXPECT_NE(d.confidence.source.find("table"), std::string::npos);

  // FSC 1 - 0.95 s / 14 and the nominal resolution reach the table, too.
  options.per_shell = ConfidenceTable{{0}, {0}, {0, 1}, {0, 1}};
  EXPECT_NEAR(decide(request, options).confidence.per_shell[7], 1 - 0.95 / 2, 1e-6);
  options.per_shell = ConfidenceTable{{0}, {0, 1}, {0}, {0, 1}};
  EXPECT_NEAR(decide(request, options).confidence.per_shell[7], 1 / *d.resolution.nominal, 1e-9);

  options.lambda = 0.25;
  EXPECT_EQ(decide(request, options).confidence.per_shell[7], 0.25) << "--lambda goes first";
  options.lambda.reset();
  Synthetic class3d;
  class3d.fsc_zero = true;
  EXPECT_FALSE(decide(named("j/run_it003_class002", class3d), options).needs_denoiser);
}

TEST(Reconstruct, ATableOfOnesIsRedAndOneOfZerosIsGaussian) {
  const TemporaryFolder folder;
  const auto request = read_request(write_synthetic(folder, {}));
  FunctionDenoiser denoiser(0, [](const Map& map) { return scaled(map, 0.5f); });
  RedOptions options = with_pixel();
  options.prior = Prior::red;
  reconstruct(request, options, &denoiser);
  const Map red = read_mrc(request.result);
  options.prior = Prior::cw_red;
  options.per_shell = constant_confidence(1);
  EXPECT_TRUE(reconstruct(request, options, &denoiser).denoiser_ran);
  EXPECT_EQ(read_mrc(request.result).data, red.data);

  const Map gaussian = reconstruct_gaussian(request, open_arrays(request));
  options.per_shell = constant_confidence(0);
  EXPECT_FALSE(reconstruct(request, options, nullptr).denoiser_ran);
  EXPECT_LT(relative_difference(read_mrc(request.result), gaussian, 32), 1e-6);
  // Next to nothing, but through the whole formula.
  options.per_shell = constant_confidence(1e-9);
  EXPECT_TRUE(reconstruct(request, options, &denoiser).denoiser_ran);
  EXPECT_LT(relative_difference(read_mrc(request.result), gaussian, 32), 1e-6);
}

TEST(Reconstruct, ThePriorsWeightIsASmallerTau2InTheShellsOfTheDenoiser) {
  const TemporaryFolder folder;
  const auto request = read_request(write_synthetic(folder, {}));  // box 32, 2 A, cut 14
  FunctionDenoiser denoiser(0, [](const Map& map) { return scaled(map, 0.5f); });
  RedOptions options = with_pixel();
  // lambda 1 up to shell 6, 0.5 in shell 7, none from shell 8 on.
  options.per_shell = ConfidenceTable{{6.0 / 64, 8.0 / 64}, {0}, {0}, {1, 0}, 9};
  const ReconstructReport report = reconstruct(request, options, &denoiser);
  EXPECT_EQ(report.decision.confidence.prior_weight, 9);
  EXPECT_NEAR(report.lambda[7], 0.5, 1e-12);
  const Map weighed = read_mrc(request.result);

  // The same by hand: tau2 / 9, tau2 / 5, tau2.
  ReconstructRequest smaller = request;
  for (std::size_t s = 0; s < smaller.tau2.size(); ++s) smaller.tau2[s] /= s <= 6 ? 9 : s == 7 ? 5 : 1;
  options.per_shell->prior_weight = 1;
  reconstruct(smaller, options, &denoiser);
  EXPECT_EQ(read_mrc(request.result).data, weighed.data);
  reconstruct(request, options, &denoiser);
  EXPECT_GT(relative_difference(read_mrc(request.result), weighed, 7), 0.02) << "it makes a difference";

  // Lambda 0 is RELION's prior, whatever the weight.
  const Map gaussian = reconstruct_gaussian(request, open_arrays(request));
  options.per_shell = constant_confidence(1e-9);
  options.per_shell->prior_weight = 16;
  EXPECT_TRUE(reconstruct(request, options, &denoiser).denoiser_ran);
  EXPECT_LT(relative_difference(read_mrc(request.result), gaussian, 32), 1e-5);
}

TEST(Reconstruct, KeptNoiseIsOfTheShellsThatTheDenoiserSees) {
  const TemporaryFolder folder;
  const auto kept = [&](double voxel, const std::string& stem) {
    Synthetic s;  // box 32, 2 A, cut 14
    s.stem = stem;
    const auto request = read_request(write_synthetic(folder, s));
    FunctionDenoiser identity(voxel, [](const Map& map) { return map; });
    RedOptions options = with_pixel();
    options.prior = Prior::red;
    return reconstruct(request, options, &identity).kept_noise.value();
  };
  // The identity keeps all of it: 1 - F, F the half-map FSC 1 - 0.95 s / 14.
  const auto expected = [](std::size_t shells, bool joined) {
    double sum = 0, count = 0;
    for (std::size_t s = 1; s < shells; ++s) {
      const double fsc = 1 - 0.95 * static_cast<double>(s) / 14;
      if (fsc < 0.143 || fsc >= 0.9) continue;
      sum += 1 - (joined ? 2 * fsc / (1 + fsc) : fsc);
      ++count;
    }
    return sum / count;
  };
  EXPECT_NEAR(kept(0, "run_it003_half1_class001"), expected(14, false), 1e-3);
  EXPECT_NEAR(kept(0, "run_it003_class001"), expected(14, true), 1e-3) << "joined from both halves";
  // Voxels of 4 A: the Nyquist frequency is that of shell 8.
  EXPECT_NEAR(kept(4, "run_it003_half1_class001"), expected(8, false), 1e-3);
  EXPECT_LT(expected(8, false), expected(14, false) - 0.1);
}

TEST(Reconstruct, KeptNoiseAndGuardLookAtMapsAsTheDenoiserSeesThem) {
  const TemporaryFolder folder;
  const auto request = read_request(write_synthetic(folder, {}));  // padding 1, where the corners are amplified most
  std::vector<Map> given, returned;
  FunctionDenoiser denoiser(0, [&](const Map& map) {
    given.push_back(map);
    returned.push_back(map);
    Map& out = returned.back();
    for (std::size_t i = 0; i < map.size(); ++i) out.data[i] = 0.8f * out.data[i] + (i % 3 == 0 ? 0.01f : -0.02f);
    return out;
  });
  RedOptions options = with_pixel();
  options.prior = Prior::red;
  options.guard.mode = GuardOptions::Mode::report;
  const ReconstructReport report = reconstruct(request, options, &denoiser);
  ASSERT_EQ(returned.size(), 3u) << "the map, two copies";
  EXPECT_NEAR(report.kept_noise.value(), kept_noise(request.fsc, fsc(given[0], returned[0])).value(), 1e-6);
  ASSERT_TRUE(report.guard.ran);
  const auto expected = fsc(returned[1], returned[2]);
  for (auto s = static_cast<std::size_t>(report.guard.first_shell); s < 14; ++s)
    EXPECT_NEAR(report.guard.output_fsc[s], expected[s], 1e-4) << s;
  // Random phases leave every shell's power as it was.
  const auto before = shell_power(forward(given[0])), after = shell_power(forward(given[1]));
  for (std::size_t s = 0; s < 14; ++s) EXPECT_NEAR(after[s] / before[s], 1, 1e-3) << s;
}

TEST(Reconstruct, FailureLeavesNothingUnderTheFinalName) {
  const TemporaryFolder folder;
  const auto request = read_request(write_synthetic(folder, {}));
  EXPECT_THROW(reconstruct(request, with_pixel(), nullptr), UsageError);
  FunctionDenoiser failing(0, [](const Map&) -> Map { throw SystemError("device lost"); });
  EXPECT_THROW(reconstruct(request, with_pixel(), &failing), SystemError);
  EXPECT_FALSE(std::filesystem::exists(request.result));
  for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
    EXPECT_EQ(entry.path().string().find(".tmp"), std::string::npos) << entry.path();
}

}  // namespace
}  // namespace cryored
