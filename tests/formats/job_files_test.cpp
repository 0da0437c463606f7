// Pixel size, symmetry and helix from the files of the job, real ones of RELION 3.1.3 among them.

#include "core/reconstruct/request.hpp"
#include "request_testing.hpp"

namespace cryored::testing {
namespace {

namespace fs = std::filesystem;

ReconstructRequest request_at(const TempFolder& folder, const std::string& name, int box = 32, int dimensionality = 3) {
  return parse_request(request_text("x", box, 2, dimensionality), folder / (name + "_external_reconstruct.star"));
}

std::string model_text(int box, double pixel_size, const std::string& more = "") {
  std::ostringstream s;
  s << "data_model_general\n_rlnOriginalImageSize " << box << "\n_rlnPixelSize " << pixel_size << "\n" << more;
  return s.str();
}

std::string sampling_text(const std::string& group) {
  return "data_sampling_general\n_rlnIs3DSampling 1\n_rlnSymmetryGroup " + group + "\n";
}

constexpr const char* kHelicalClasses =
    "_rlnIsHelix 1\n_rlnNrHelicalAsymUnits 6\n\ndata_model_classes\nloop_\n_rlnReferenceImage\n_rlnHelicalRise\n"
    "_rlnHelicalTwist\na.mrc 4.75 -1.2\nb.mrc 5 22\n";

void copy(const std::string& name, const std::string& to) { fs::copy_file(fixture("refine3d/" + name), to); }

TEST(PixelSize, FromTheRequestItself) {
  const TempFolder folder;
  ReconstructRequest r = request_at(folder, "run_it003_half1_class001");
  r.pixel_size = 1.25;
  std::string source;
  EXPECT_EQ(find_pixel_size(r, &source), 1.25);
  expect_parts(source, {r.star_path, "_rlnPixelSize"});
}

TEST(PixelSize, FromTheModelOfRelion) {
  std::string source;
  const auto r = read_request(fixture("refine3d/run_it003_half1_class001_external_reconstruct.star"));
  EXPECT_EQ(find_pixel_size(r, &source), 3.5);
  expect_parts(source, {fixture("refine3d/run_it003_half1_model.star")});
}

TEST(PixelSize, LatestIterationUpToThisOneAndSameHalf) {
  const TempFolder folder;
  write_bytes(folder / "run_it000_half1_model.star", model_text(32, 1));
  write_bytes(folder / "run_it002_half1_model.star", model_text(32, 2));
  write_bytes(folder / "run_it002_half2_model.star", model_text(32, 3));
  write_bytes(folder / "run_it009_half1_model.star", model_text(32, 9));     // of an older, longer run
  write_bytes(folder / "runner_it002_half1_model.star", model_text(32, 8));  // of another job
  EXPECT_EQ(find_pixel_size(request_at(folder, "run_it003_half1_class001")), 2);
  EXPECT_EQ(find_pixel_size(request_at(folder, "run_it003_half2_class001")), 3);
  EXPECT_EQ(find_pixel_size(request_at(folder, "run_it003_class001")), 2);  // the final joined map
  EXPECT_EQ(find_pixel_size(request_at(folder, "run_it001_half2_body002")), 1);
}

TEST(PixelSize, ContinuedJob) {
  const TempFolder folder;
  write_bytes(folder / "run_it005_half1_model.star", model_text(32, 2));
  write_bytes(folder / "run_it010_half1_model.star", model_text(32, 4));  // given up after the continuation at 5
  EXPECT_EQ(find_pixel_size(request_at(folder, "run_ct5_it006_half1_class001")), 2);
  write_bytes(folder / "run_ct5_it006_half1_model.star", model_text(32, 3));
  EXPECT_EQ(find_pixel_size(request_at(folder, "run_ct5_it012_half1_class001")), 3);
}

TEST(PixelSize, AnotherBoxOrDamagedFileIsPassedOver) {
  const TempFolder folder;
  write_bytes(folder / "run_it001_model.star", model_text(32, 2));
  write_bytes(folder / "run_it002_model.star", model_text(64, 7));
  write_bytes(folder / "run_it003_model.star", "data_model_general\n_rlnPixelSize 'ope");
  write_bytes(folder / "run_it004_model.star", "");
  write_bytes(folder / "run_it005_model.star", model_text(32, -1));
  EXPECT_EQ(find_pixel_size(request_at(folder, "run_it006_class001")), 2);
}

TEST(PixelSize, FromFilesThatTheOptimiserNames) {
  const TempFolder folder;
  fs::create_directory(folder / "old");
  write_bytes(folder / "old/run_it007_half1_model.star", model_text(32, 6));
  write_bytes(folder / "run_it007_optimiser.star",
              "data_optimiser_general\n_rlnModelStarFile " + (folder / "old/run_it007_half1_model.star") + "\n");
  std::string source;
  EXPECT_EQ(find_pixel_size(request_at(folder, "run_it008_half1_class001"), &source), 6);
  expect_parts(source, {"old/run_it007_half1_model.star"});
}

TEST(PixelSize, FromTheDataStarOfRelion31And30) {
  const TempFolder folder;
  copy("run_it003_data.star", folder / "run_it003_data.star");
  std::string source;
  EXPECT_EQ(find_pixel_size(request_at(folder, "run_it003_class001"), &source), 3.5);
  expect_parts(source, {"run_it003_data.star"});
  fs::copy_file(fixture("relion30_particles.star"), folder / "old_it001_data.star");
  EXPECT_NEAR(find_pixel_size(request_at(folder, "old_it001_class001")), 5e4 / 39370.078125, 1e-12);
}

TEST(PixelSize, FromTheHeaderOfAClassMap) {
  const TempFolder folder;
  Map map(32, 32, 32);
  map.fill(0);
  write_mrc(folder / "run_it000_half1_class001.mrc", map, 1.75);
  write_mrc(folder / "run_it000_half2_class001.mrc", map, 1.5);
  Map other(16, 16, 16);
  other.fill(0);
  write_mrc(folder / "run_it001_half1_class001.mrc", other, 9);
  std::string source;
  EXPECT_EQ(find_pixel_size(request_at(folder, "run_it001_half1_class001"), &source), 1.75);
  expect_parts(source, {"run_it000_half1_class001.mrc (MRC header)"});
}

TEST(PixelSize, NowhereNamesTheOption) {
  const TempFolder folder;
  expect_parts(message_of<InputError>([&] { find_pixel_size(request_at(folder, "run_it001_class001")); }),
               {folder / "run_it001_class001_external_reconstruct.star", "_rlnPixelSize", folder / "run_it*", "box 32",
                "--pixel-size"});
  expect_parts(message_of<InputError>([&] { find_pixel_size(request_at(folder, "rec")); }),
               {"does not follow", "--pixel-size"});
  write_bytes(folder / "run_it001_model.star", "garbage");
  expect_parts(message_of<InputError>([&] { find_pixel_size(request_at(folder, "run_it001_class001")); }),
               {"run_it001_model.star:1", "'garbage'", "--pixel-size"});
}

TEST(PixelSize, RelativeName) {
  const TempFolder folder;
  write_bytes(folder / "run_it000_model.star", model_text(32, 2));
  const std::string before = fs::current_path();
  fs::current_path(folder.path());
  std::string source;
  const ReconstructRequest r =
      parse_request(request_text("x", 32, 2, 3), "run_it001_class001_external_reconstruct.star");
  EXPECT_EQ(find_pixel_size(r, &source), 2);
  fs::current_path(before);
  EXPECT_EQ(source.substr(0, 20), "run_it000_model.star");
}

TEST(Symmetry, FromTheSamplingFileOfRelion) {
  const auto r = read_request(fixture("refine3d/run_it003_half1_class001_external_reconstruct.star"));
  EXPECT_EQ(find_symmetry(r).value_or("none"), "D2");
}

TEST(Symmetry, LatestSamplingFileInUpperCase) {
  const TempFolder folder;
  write_bytes(folder / "run_it000_sampling.star", sampling_text("c1"));
  write_bytes(folder / "run_it002_sampling.star", sampling_text("i3"));
  EXPECT_EQ(find_symmetry(request_at(folder, "run_it001_class001")).value_or("none"), "C1");
  EXPECT_EQ(find_symmetry(request_at(folder, "run_it003_class001")).value_or("none"), "I3");
}

// RELION writes its files of an iteration after the call: until then those of an older run with the same name lie
// there.
TEST(Symmetry, FilesOfAnOlderRunDoNotCount) {
  const TempFolder folder;
  for (const char* stale : {"run_it001", "run_it002"}) {
    write_bytes(folder / (std::string(stale) + "_sampling.star"), sampling_text("D2"));
    write_bytes(folder / (std::string(stale) + "_half1_model.star"), model_text(32, 9, kHelicalClasses));
  }
  EXPECT_EQ(find_symmetry(request_at(folder, "run_it001_half1_class001")).value_or("none"), "D2") << "by hand, later";
  write_bytes(folder / "run_it000_sampling.star", sampling_text("C1"));
  write_bytes(folder / "run_it000_half1_model.star", model_text(32, 3, "_rlnIsHelix 0\n"));
  const auto request = request_at(folder, "run_it001_half1_class001");
  EXPECT_EQ(find_symmetry(request).value_or("none"), "C1");
  EXPECT_EQ(find_pixel_size(request), 3);
  EXPECT_FALSE(find_helix(request));
}

// relion_refine without MPI writes an optimiser for iteration 0 and no sampling file.
TEST(Symmetry, TheCommandGoesBeforeASamplingFileOfAnOlderRun) {
  const TempFolder folder;
  write_bytes(folder / "run_it001_sampling.star", sampling_text("C2"));
  write_bytes(folder / "run_it000_optimiser.star",
              "# RELION optimiser\n# --o " + (folder / "run") + " --sym C4\ndata_optimiser_general\n_rlnX 1\n");
  EXPECT_EQ(find_symmetry(request_at(folder, "run_it001_class001")).value_or("none"), "C4");
  write_bytes(folder / "run_it001_sampling.star", sampling_text("C4"));  // after the call
  EXPECT_EQ(find_symmetry(request_at(folder, "run_it002_class001")).value_or("none"), "C4");
}

TEST(Symmetry, OfOneIterationTheCommandGoesBeforeTheSamplingFile) {
  const TempFolder folder;
  const std::string table = "\ndata_optimiser_general\n_rlnX 1\n", command = "# --o " + (folder / "run");
  write_bytes(folder / "run_it000_sampling.star", sampling_text("C2"));  // of an older run with MPI
  write_bytes(folder / "run_it000_optimiser.star", command + " --sym C4" + table);
  EXPECT_EQ(find_symmetry(request_at(folder, "run_it001_class001")).value_or("none"), "C4");
  write_bytes(folder / "run_it000_optimiser.star", command + table);
  EXPECT_EQ(find_symmetry(request_at(folder, "run_it001_class001")).value_or("none"), "C1");
  // Of a continuation the command does not tell.
  write_bytes(folder / "run_it000_optimiser.star", command + " --continue other_it000_optimiser.star" + table);
  EXPECT_EQ(find_symmetry(request_at(folder, "run_it001_class001")).value_or("none"), "C2");
  // A later iteration's sampling file before an earlier command.
  write_bytes(folder / "run_it000_optimiser.star", command + " --sym C4" + table);
  write_bytes(folder / "run_it001_sampling.star", sampling_text("D2"));
  EXPECT_EQ(find_symmetry(request_at(folder, "run_it002_class001")).value_or("none"), "D2");
}

TEST(Symmetry, OfAJobContinuedUnderAnotherName) {
  const TempFolder folder;
  fs::create_directory(folder / "old");
  write_bytes(folder / "old/run_it002_sampling.star", sampling_text("D2"));
  write_bytes(folder / "old/run_it002_half1_model.star", model_text(32, 3, kHelicalClasses));
  write_bytes(folder / "old/run_it003_sampling.star", sampling_text("C4"));  // given up after the continuation at 2
  write_bytes(folder / "new_it002_optimiser.star", "# RELION optimiser\n# --o " + (folder / "new") + " --continue " +
                                                       (folder / "old/run_it002_optimiser.star") +
                                                       "\ndata_optimiser_general\n_rlnOrientSamplingStarFile " +
                                                       (folder / "new_it002_sampling.star") + "\n");
  const auto request = request_at(folder, "new_it003_half1_class001");
  EXPECT_EQ(find_symmetry(request).value_or("none"), "D2");
  EXPECT_EQ(find_pixel_size(request), 3);
  EXPECT_TRUE(find_helix(request));
  write_bytes(folder / "new_it003_sampling.star", sampling_text("C1"));  // an older run's
  EXPECT_EQ(find_symmetry(request).value_or("none"), "D2");
  // A chain that ends in itself.
  write_bytes(folder / "old/run_it002_optimiser.star",
              "# --o x --continue " + (folder / "new_it002_optimiser.star") + "\ndata_optimiser_general\n_rlnX 1\n");
  EXPECT_EQ(find_symmetry(request).value_or("none"), "D2");
  fs::remove(folder / "old/run_it002_sampling.star");
  EXPECT_EQ(find_symmetry(request).value_or("none"), "C1") << "nothing but the file of this iteration";
}

TEST(Symmetry, FromTheCommandBeforeTheFirstSamplingFile) {
  const TempFolder folder;
  copy("run_it003_optimiser.star", folder / "run_it003_optimiser.star");
  EXPECT_EQ(find_symmetry(request_at(folder, "run_it004_class001")).value_or("none"), "D2");
  const std::string text = read_bytes(folder / "run_it003_optimiser.star");
  write_bytes(folder / "run_it003_optimiser.star", replaced(text, "--sym D2 ", ""));
  EXPECT_EQ(find_symmetry(request_at(folder, "run_it004_class001")).value_or("none"), "C1");
  // The command of a continuation does not repeat the group.
  write_bytes(folder / "run_it003_optimiser.star", replaced(text, "--sym D2 ", "--continue run_it002_optimiser.star "));
  EXPECT_FALSE(find_symmetry(request_at(folder, "run_it004_class001")));
}

TEST(Symmetry, UnknownWithoutJobFilesAndIn2D) {
  const TempFolder folder;
  EXPECT_FALSE(find_symmetry(request_at(folder, "run_it004_class001")));
  write_bytes(folder / "run_it001_sampling.star", sampling_text("C1"));
  EXPECT_FALSE(find_symmetry(request_at(folder, "run_it001_class001", 32, 2)));
}

TEST(Helix, RiseAndTwistOfTheClass) {
  const TempFolder folder;
  write_bytes(folder / "run_it001_model.star", model_text(32, 1, kHelicalClasses));
  const auto helix = find_helix(request_at(folder, "run_it002_class002"));
  ASSERT_TRUE(helix);
  EXPECT_EQ(helix->rise, 5);
  EXPECT_EQ(helix->twist, 22);
  write_bytes(folder / "run_it001_optimiser.star", "data_optimiser_general\n_rlnIgnoreHelicalSymmetry 1\n");
  EXPECT_FALSE(find_helix(request_at(folder, "run_it002_class002")));
}

TEST(Helix, WrittenByRelion313) {
  const auto r =
      parse_request(request_text("x", 32, 1, 3), fixture("helix/run_it001_class001_external_reconstruct.star"));
  const auto helix = find_helix(r);
  ASSERT_TRUE(helix);
  EXPECT_EQ(helix->rise, 8);
  EXPECT_EQ(helix->twist, 30);
}

TEST(Helix, NoneForOtherJobs) {
  const auto r = read_request(fixture("refine3d/run_it003_half1_class001_external_reconstruct.star"));
  EXPECT_FALSE(find_helix(r));
  const TempFolder folder;
  EXPECT_FALSE(find_helix(request_at(folder, "run_it002_class002")));
}

}  // namespace
}  // namespace cryored::testing
