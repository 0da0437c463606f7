// The STAR file of a reconstruction: what real RELION writes, and every field spoiled.

#include "core/reconstruct/request.hpp"

#include "request_testing.hpp"

namespace cryored::testing {
namespace {

TEST(Request, WrittenByRelion313Refine3D) {
  const std::string path = fixture("refine3d/run_it003_half1_class001_external_reconstruct.star");
  const ReconstructRequest r = read_request(path);
  EXPECT_EQ(r.data_real, "auto/run_it003_half1_class001_external_reconstruct_data_real.mrc");
  EXPECT_EQ(r.data_imag, "auto/run_it003_half1_class001_external_reconstruct_data_imag.mrc");
  EXPECT_EQ(r.weight, "auto/run_it003_half1_class001_external_reconstruct_weight.mrc");
  EXPECT_EQ(r.result, "auto/run_it003_half1_class001_external_reconstruct.mrc");
  EXPECT_EQ(r.result_star, "auto/run_it003_half1_class001_external_reconstruct_out.star");
  EXPECT_EQ(r.box, 32);
  EXPECT_EQ(r.current_size, 32);
  EXPECT_EQ(r.dimensionality, 3);
  EXPECT_EQ(r.padding, 2);
  EXPECT_EQ(r.padded_box(), 64);
  EXPECT_EQ(r.tau2_fudge, 1);
  EXPECT_FALSE(r.pixel_size);
  EXPECT_FALSE(r.particle_diameter);
  ASSERT_EQ(r.tau2.size(), 17u);
  ASSERT_EQ(r.fsc.size(), 17u);
  EXPECT_DOUBLE_EQ(r.tau2[0], 7.594498e-05);
  EXPECT_DOUBLE_EQ(r.fsc[3], 0.996682);
  EXPECT_DOUBLE_EQ(r.fsc[12], -0.01103);
  EXPECT_EQ(r.half, 1);
  EXPECT_EQ(r.class_number, 1);
  EXPECT_EQ(r.iteration, 3);
  EXPECT_FALSE(r.is_body);
  EXPECT_EQ(r.job_root, fixture("refine3d/run"));
}

TEST(Request, WrittenByRelion313Class2D) {
  const ReconstructRequest r = read_request(fixture("class2d_it002_class002_external_reconstruct.star"));
  EXPECT_EQ(r.dimensionality, 2);
  EXPECT_EQ(r.tau2_fudge, 2);
  EXPECT_EQ(r.half, 0);
  EXPECT_EQ(r.class_number, 2);
  for (const double value : r.fsc) EXPECT_EQ(value, 0);
}

TEST(Request, PixelSizeAndDiameterOfLaterVersions) {
  const Case c;
  c.edit("_rlnTau2FudgeFactor", "_rlnPixelSize 1.244531\n_rlnParticleDiameter 180.5\n_rlnTau2FudgeFactor");
  ReconstructRequest r = read_request(c.star);
  EXPECT_DOUBLE_EQ(r.pixel_size.value(), 1.244531);
  EXPECT_DOUBLE_EQ(r.particle_diameter.value(), 180.5);
  c.edit("1.244531", "-1.000");  // RELION's "unknown"
  r = read_request(c.star);
  EXPECT_FALSE(r.pixel_size);
}

struct Name {
  std::string star, root;
  int iteration, half, number;
  bool body;
};

TEST(Request, NamesOfRelion) {
  const std::string text = request_text("x", 8, 1, 3);
  for (const Name& n :
       {Name{"j/run_it012_half2_class001_external_reconstruct.star", "j/run", 12, 2, 1, false},
        Name{"run_it025_class010_external_reconstruct.star", "run", 25, 0, 10, false},
        Name{"/a b/run_ct5_it006_half1_body002_external_reconstruct.star", "/a b/run_ct5", 6, 1, 2, true},
        Name{"run_it1000_class1000_external_reconstruct.star", "run", 1000, 0, 1000, false},
        Name{"a_it001_x_it002_half1_class001_external_reconstruct.star", "a_it001_x", 2, 1, 1, false},
        Name{"rec_external_reconstruct.star", "", -1, 0, 0, false},
        Name{"run_it01_class001_external_reconstruct.star", "", -1, 0, 0, false},
        Name{"run_it001_class001_external_reconstruct.star.bak", "", -1, 0, 0, false},
        Name{"run_it99999999999_class001_external_reconstruct.star", "", -1, 0, 0, false}}) {
    const ReconstructRequest r = parse_request(text, n.star);
    EXPECT_EQ(r.job_root, n.root) << n.star;
    EXPECT_EQ(r.iteration, n.iteration) << n.star;
    EXPECT_EQ(r.half, n.half) << n.star;
    EXPECT_EQ(r.class_number, n.number) << n.star;
    EXPECT_EQ(r.is_body, n.body) << n.star;
  }
  EXPECT_EQ(parse_request(text, "run_it001_half3_class001_external_reconstruct.star").iteration, -1);
  EXPECT_EQ(parse_request(text, std::string(100000, 'x') + "_it001_class001_external_reconstruct.star").iteration, -1);
}

TEST(Request, PaddedBoxRounds) {
  // What RELION 3.1.3 writes for box 32: 32, 33, 35, 64.
  ReconstructRequest r;
  r.box = 32;
  for (const auto& [padding, expected] : {std::pair{1.0, 32}, {1.03, 33}, {1.1, 35}, {2.0, 64}}) {
    r.padding = padding;
    EXPECT_EQ(r.padded_box(), expected);
  }
}

struct Spoiled {
  const char* name;
  const char* from;
  const char* to;
  std::vector<std::string> parts;
};

class RequestBad : public ::testing::TestWithParam<Spoiled> {};

TEST_P(RequestBad, NamesFileFieldValueRemedy) {
  const Spoiled& s = GetParam();
  const std::string text = replaced(request_text("j/run_it001_class001", 8, 2, 3), s.from, s.to);
  const std::string message = message_of<InputError>([&] { parse_request(text, "j/bad.star"); });
  expect_parts(message, s.parts);
  expect_parts(message, {"j/bad.star", "found ", "allowed: ", "Remedy: "});
}

INSTANTIATE_TEST_SUITE_P(
    Fields, RequestBad,
    ::testing::Values(
        Spoiled{"no_general",
                "data_external_reconstruct_general",
                "data_general",
                {"data_external_reconstruct_general", "data_general, data_external_reconstruct_tau2"}},
        Spoiled{"no_tau2",
                "data_external_reconstruct_tau2",
                "data_tau",
                {"data_external_reconstruct_tau2", "found nothing", "rlnReferenceTau2", "relion_reconstruct"}},
        Spoiled{"label_missing", "_rlnExtReconsWeight ", "_rlnWeight ", {"_rlnExtReconsWeight", "found nothing"}},
        Spoiled{"path_empty",
                "j/run_it001_class001_external_reconstruct_data_imag.mrc",
                "",
                {"_rlnExtReconsDataImag", "an empty path"}},
        Spoiled{"path_none",
                "j/run_it001_class001_external_reconstruct.mrc",
                "None",
                {"_rlnExtReconsResult", "an empty path"}},
        Spoiled{"fudge_zero",
                "FudgeFactor                        1.000000",
                "FudgeFactor 0",
                {"_rlnTau2FudgeFactor", "'0'", "--tau2_fudge"}},
        Spoiled{"fudge_nan",
                "FudgeFactor                        1.000000",
                "FudgeFactor nan",
                {"_rlnTau2FudgeFactor", "'nan'"}},
        Spoiled{"fudge_text",
                "FudgeFactor                        1.000000",
                "FudgeFactor one",
                {"j/bad.star:11", "_rlnTau2FudgeFactor", "'one'", "a number"}},
        Spoiled{"padding_half",
                "_rlnPaddingFactor                          2",
                "_rlnPaddingFactor 0.5",
                {"_rlnPaddingFactor", "'0.5'", "1 to 16", "--pad"}},
        Spoiled{"padding_huge", "_rlnPaddingFactor                          2", "_rlnPaddingFactor 1e9", {"'1e9'"}},
        Spoiled{"padding_negative", "_rlnPaddingFactor                          2", "_rlnPaddingFactor -2", {"'-2'"}},
        Spoiled{"dimension_4",
                "Dimensionality                       3",
                "Dimensionality 4",
                {"_rlnReferenceDimensionality", "found 4", "2 (images) or 3 (volumes)"}},
        Spoiled{"dimension_fraction",
                "Dimensionality                       3",
                "Dimensionality 2.5",
                {"_rlnReferenceDimensionality", "'2.5'", "whole number"}},
        Spoiled{"box_odd",
                "OriginalImageSize                            8",
                "OriginalImageSize 9",
                {"_rlnOriginalImageSize", "9 (odd)", "even", "relion_image_handler"}},
        Spoiled{"box_zero", "OriginalImageSize                            8", "OriginalImageSize 0", {"found 0"}},
        Spoiled{"box_negative", "OriginalImageSize                            8", "OriginalImageSize -8", {"found -8"}},
        Spoiled{"box_huge", "OriginalImageSize                            8", "OriginalImageSize 1000000", {"8192"}},
        Spoiled{"box_beyond_int",
                "OriginalImageSize                            8",
                "OriginalImageSize 99999999999",
                {"99999999999", "32-bit"}},
        Spoiled{"current_zero",
                "CurrentImageSize                             8",
                "CurrentImageSize 0",
                {"_rlnCurrentImageSize", "found 0", "2 to 8"}},
        Spoiled{"current_beyond_box",
                "CurrentImageSize                             8",
                "CurrentImageSize 10",
                {"_rlnCurrentImageSize", "found 10", "2 to 8"}},
        Spoiled{"pixel_size_inf",
                "_rlnTau2FudgeFactor",
                "_rlnPixelSize inf\n_rlnTau2FudgeFactor",
                {"_rlnPixelSize", "'inf'"}},
        Spoiled{
            "tau2_column_missing", "_rlnReferenceTau2 ", "_rlnTau ", {"_rlnReferenceTau2", "rlnSpectralIndex, rlnTau"}},
        Spoiled{"fsc_column_missing", "_rlnGoldStandardFsc ", "_rlnFsc ", {"_rlnGoldStandardFsc"}},
        Spoiled{"row_missing", "           4     0.25     0.500000 \n", "", {"found 4 rows", "5 rows", "= 8"}},
        Spoiled{"row_too_many", "           4 ", "4 0.25 0.5\n 5 ", {"found 6 rows", "5 rows"}},
        Spoiled{"row_cut",
                "           4     0.25     0.500000 \n",
                "           4     0.2",
                {"bad.star:30", "2 values in this row"}},
        Spoiled{"shell_order",
                "           2     0.25",
                "           3     0.25",
                {"row 3", "_rlnSpectralIndex", "'3'", "allowed: 2, shells in ascending order"}},
        Spoiled{"tau2_nan", "           2     0.25", "           2     nan", {"row 3", "_rlnReferenceTau2", "'nan'"}},
        Spoiled{"tau2_inf", "           2     0.25", "           2     inf", {"row 3", "_rlnReferenceTau2", "'inf'"}},
        Spoiled{"tau2_negative", "           2     0.25", "           2     -0.25", {"_rlnReferenceTau2", "'-0.25'"}},
        Spoiled{
            "tau2_text", "           2     0.25", "           2     x", {"bad.star:28", "_rlnReferenceTau2", "'x'"}},
        Spoiled{"fsc_nan", "     0.500000", "     nan", {"row 1", "_rlnGoldStandardFsc", "'nan'"}},
        Spoiled{"fsc_beyond_one", "     0.500000", "     1.5", {"_rlnGoldStandardFsc", "'1.5'", "-1 to 1"}}),
    [](const auto& one) { return one.param.name; });

TEST(RequestBadFile, EmptyMissingMalformed) {
  const TempFolder folder;
  write_bytes(folder / "e.star", "");
  expect_parts(message_of<InputError>([&] { read_request(folder / "e.star"); }), {folder / "e.star", "an empty file"});
  expect_parts(message_of<InputError>([&] { read_request(folder / "absent.star"); }),
               {folder / "absent.star", "No such file"});
  write_bytes(folder / "b.star", std::string(300, '\x7f'));
  expect_parts(message_of<InputError>([&] { read_request(folder / "b.star"); }), {folder / "b.star:1"});
}

}  // namespace
}  // namespace cryored::testing
