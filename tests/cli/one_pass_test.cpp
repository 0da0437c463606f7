// cryored evaluate one-pass.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <nlohmann/json.hpp>
#include <numbers>

#include "tests/cli/process.hpp"
#include "tests/cli/reconstruct_fixture.hpp"
#include "tests/cli/request_files.hpp"

namespace cryored_test {
namespace {

class OnePassCommand : public ReconstructTest {
 protected:
  Outcome one_pass(const std::vector<std::string>& options) const {
    Invocation call;
    call.words = {std::string(CRYORED_TEST_BIN) + "/cryored",
                  "evaluate",
                  "one-pass",
                  files.star(),
                  "--weights",
                  "builtin:identity",
                  "--device",
                  "cpu"};
    call.words.insert(call.words.end(), options.begin(), options.end());
    return run(call);
  }
  RequestFiles write_other_half() const {
    RequestFiles other = files;
    other.stem = "run_it004_half2_class001";
    other.write();
    return other;
  }
};

TEST_F(OnePassCommand, StatesHowTheOutputOughtToBeScaled) {
  files.pixel_size = 2.5;
  files.padding = 2;  // the result, here the truth, ends in a division by sinc^2, which half-maps are compared without
  files.write();
  ASSERT_EQ(run(call({"--prior", "gaussian"})).code, 0);
  const auto truth = read_mrc_data(files.result());
  const auto measured = [&](float factor) {
    auto scaled = truth;
    for (float& v : scaled) v *= factor;
    write_mrc_file(scratch / "truth.mrc", files.box, files.box, files.box, scaled, files.pixel_size);
    files.write();
    const Outcome outcome = one_pass({"--truth", scratch / "truth.mrc", "--json"});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return nlohmann::json::parse(outcome.out).at(0);
  };
  const auto whole = measured(1), half = measured(0.5f);
  const std::size_t first = whole["first_shell"], cut = whole["cut"];
  ASSERT_LT(first, cut);
  for (std::size_t s = first; s < cut; ++s) {
    // RELION's prior only shrinks shells: the unregularised map errs least when it is shrunk alike.
    EXPECT_GT(whole["fsc_after"][s].get<double>(), 0.99) << s;
    EXPECT_GT(whole["best_scale"][s].get<double>(), 0) << s;
    EXPECT_LT(whole["best_scale"][s].get<double>(), 1) << s;
    EXPECT_NEAR(half["best_scale"][s].get<double>(), whole["best_scale"][s].get<double>() / 2, 1e-4) << s;
    EXPECT_NEAR(half["fsc_after"][s].get<double>(), whole["fsc_after"][s].get<double>(), 1e-5) << s;
  }
}

TEST_F(OnePassCommand, ATruthOfAnotherScaleOrWithNaNIsRefused) {
  files.pixel_size = 2.5;
  files.write();
  ASSERT_EQ(run(call({"--prior", "gaussian"})).code, 0);
  auto truth = read_mrc_data(files.result());
  write_mrc_file(scratch / "truth.mrc", files.box, files.box, files.box, truth, 3);
  files.write();
  const Outcome other = one_pass({"--truth", scratch / "truth.mrc"});
  EXPECT_EQ(other.code, 1);
  for (const char* part : {"truth.mrc", "found 3 A", "2.5 A", "--pixel-size"})
    EXPECT_NE(other.err.find(part), std::string::npos) << other.err;
  EXPECT_EQ(one_pass({"--truth", scratch / "truth.mrc", "--pixel-size", "2.5"}).code, 0);
  truth[7] = std::nanf("");
  write_mrc_file(scratch / "truth.mrc", files.box, files.box, files.box, truth, 2.5);
  const Outcome bad = one_pass({"--truth", scratch / "truth.mrc"});
  EXPECT_EQ(bad.code, 1);
  EXPECT_NE(bad.err.find("voxel (7, 0, 0)"), std::string::npos) << bad.err;
}

TEST_F(OnePassCommand, WithoutATruthComparesWithTheOtherHalf) {
  files.padding = 2;
  files.write();
  const RequestFiles other = write_other_half();
  const auto measured = [&] {
    const Outcome outcome = one_pass({"--json"});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return nlohmann::json::parse(outcome.out).at(0);
  };
  const auto alike = measured();
  EXPECT_EQ(alike["against"], "other half");
  EXPECT_FALSE(alike.contains("truth"));
  const std::size_t first = alike["first_shell"], cut = alike["cut"];
  ASSERT_LT(first, cut);
  for (std::size_t s = first; s < cut; ++s)
    for (const char* curve : {"fsc_before", "fsc_after", "fsc_limit", "best_scale"})
      EXPECT_NEAR(alike[curve][s].get<double>(), 1, 1e-4) << curve << " " << s;

  EXPECT_TRUE(alike["of_limit"].is_null()) << "no shell below 0.9: good maps, of which the figure says nothing";
  const Outcome good = one_pass({});
  EXPECT_NE(good.out.find(", - of the limit\n"), std::string::npos) << good.out;

  // Half 2 moved by a voxel along x and halved: the FSC of an isotropic map is the mean of cos(2 pi kx / N) over a
  // shell.
  const int box = other.padded(), width = box / 2 + 1;
  auto real = read_mrc_data(other.file("_data_real.mrc")), imag = read_mrc_data(other.file("_data_imag.mrc"));
  for (std::size_t i = 0; i < real.size(); ++i) {
    const double angle = 2 * std::numbers::pi * static_cast<double>(i % static_cast<std::size_t>(width)) / box;
    const auto moved = std::polar(0.5, -angle) * std::complex<double>(real[i], imag[i]);
    real[i] = static_cast<float>(moved.real());
    imag[i] = static_cast<float>(moved.imag());
  }
  write_mrc_file(other.file("_data_real.mrc"), width, box, box, real, 1);
  write_mrc_file(other.file("_data_imag.mrc"), width, box, box, imag, 1);
  const auto moved = measured();
  for (std::size_t s = first; s < cut; ++s) {
    const double phase = 2 * std::numbers::pi * static_cast<double>(s) / other.box, expected = std::sin(phase) / phase;
    EXPECT_NEAR(moved["fsc_before"][s].get<double>(), expected, 0.04) << s;
    EXPECT_NEAR(moved["fsc_after"][s].get<double>(), expected, 0.04) << s;
    EXPECT_NEAR(moved["fsc_limit"][s].get<double>(), std::sqrt(std::max(0.0, expected)), 0.04) << s;
    EXPECT_NEAR(moved["best_scale"][s].get<double>(), expected / 2, 0.02) << s;
  }
  double of_limit = 0;
  int shells = 0;
  for (std::size_t s = 1; s < cut; ++s)
    if (const double fsc = moved["fsc_before"][s]; fsc >= 0.143 && fsc <= 0.9) {
      of_limit += moved["fsc_after"][s].get<double>() / std::sqrt(fsc);
      ++shells;
    }
  ASSERT_GT(shells, 2);
  EXPECT_NEAR(moved["of_limit"].get<double>(), of_limit / shells, 1e-6);
  const Outcome text = one_pass({});
  EXPECT_NE(text.out.find(" of the limit\n"), std::string::npos) << text.out;
  EXPECT_NE(text.out.find("\n  limit "), std::string::npos) << text.out;
}

TEST_F(OnePassCommand, TakesThePixelSizeThatNoFileTells) {
  files.pixel_size = 0;
  files.write();
  write_other_half();
  const Outcome unknown = one_pass({});
  EXPECT_EQ(unknown.code, 1);
  EXPECT_NE(unknown.err.find("--pixel-size"), std::string::npos) << unknown.err;
  const Outcome told = one_pass({"--pixel-size", "3", "--json"});
  EXPECT_EQ(told.code, 0) << told.err;
  EXPECT_EQ(nlohmann::json::parse(told.out).at(0)["first_shell"], (files.box * 3 + 14) / 15);
}

TEST_F(OnePassCommand, NamesTheOtherHalfThatIsMissing) {
  files.write();
  const Outcome alone = one_pass({});
  EXPECT_EQ(alone.code, 1);
  EXPECT_NE(alone.err.find("run_it004_half2_class001_external_reconstruct.star"), std::string::npos) << alone.err;
  EXPECT_NE(alone.err.find("--truth"), std::string::npos) << alone.err;
  files.stem = "run_it004_class001";
  files.write();
  const Outcome joined = one_pass({});
  EXPECT_EQ(joined.code, 1);
  EXPECT_NE(joined.err.find("half"), std::string::npos) << joined.err;
  EXPECT_NE(joined.err.find("--truth"), std::string::npos) << joined.err;
}

}  // namespace
}  // namespace cryored_test
