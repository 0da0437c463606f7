#include "simulation/particles.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numbers>
#include <optional>
#include <random>

#include "core/base/error.hpp"
#include "core/formats/mrc.hpp"
#include "core/formats/star.hpp"
#include "core/fourier/fft.hpp"
#include "core/fourier/filter.hpp"
#include "core/fourier/image_transform.hpp"
#include "core/imaging/ctf.hpp"
#include "simulation/image_stack.hpp"
#include "simulation/imager.hpp"

namespace cryored {
namespace {

/// Raised-cosine low-pass over two shells about the resolution.
Map low_passed(const Map& map, double pixel_size, double resolution) {
  const double edge = static_cast<double>(map.nx) * pixel_size / resolution;
  return filtered(map, [edge](double k) {
    const double u = std::clamp((k - edge + 1) / 2, 0.0, 1.0);
    return 0.5 * (1 + std::cos(std::numbers::pi * u));
  });
}

std::string number(double v) { return fmt::format("{:g}", v); }

void require(bool good, const char* field, const std::string& found, const char* allowed) {
  if (!good) throw UsageError(Problem{"particle options", field, found, allowed, "change it"});
}

void check(const ParticleOptions& o) {
  require(o.count >= 2, "count", std::to_string(o.count), "at least 2 particles");
  require(o.box >= 16 && o.box % 2 == 0, "box", std::to_string(o.box), "an even number of pixels, at least 16");
  require(o.pixel_size > 0, "pixel size", number(o.pixel_size), "above 0 A");
  require(o.snr > 0 || o.factor > 0, "SNR", number(o.snr), "above 0");
  require(o.views.share >= 0 && o.views.share <= 1 && o.views.spread >= 0, "preferred views",
          number(o.views.share) + ", " + number(o.views.spread), "a share of 0 to 1, a spread of at least 0 degrees");
  const CtfOptions& c = o.ctf;
  require(c.least_defocus <= c.most_defocus, "defocus", number(c.least_defocus) + ":" + number(c.most_defocus),
          "the smaller one first");
  require(c.least_b_factor <= c.most_b_factor && c.least_b_factor >= 0, "envelope",
          number(c.least_b_factor) + ":" + number(c.most_b_factor), "the smaller one first, at least 0 A^2");
  require(!(o.mirrored_start && !o.other_start.empty()), "start map", "mirrored and of another structure",
          "one of them");
}

/// What is drawn for one particle. The order of the draws is part of what a seed means.
struct Draw {
  Rotation rotation;
  double x = 0, y = 0;  ///< pixels
  std::optional<Ctf> ctf;
};

Draw draw(const ParticleOptions& o, std::mt19937_64& rng) {
  std::uniform_real_distribution<double> uniform;
  std::normal_distribution<double> normal;
  Draw d;
  if (o.views.preferred && uniform(rng) < o.views.share) {
    const double in_plane = 360 * uniform(rng), tilt = uniform(rng) < 0.5 ? 0 : 180;
    d.rotation = rotation_from({0, tilt, in_plane}) * perturbation(rng, o.views.spread);
  } else {
    d.rotation = random_rotation(rng);
  }
  d.x = o.shift_sigma * normal(rng);
  d.y = o.shift_sigma * normal(rng);
  const CtfOptions& c = o.ctf;
  if (!c.on) return d;
  CtfParameters p;
  p.voltage = c.voltage;
  p.spherical_aberration = c.spherical_aberration;
  p.amplitude_contrast = c.amplitude_contrast;
  const double defocus = c.least_defocus + (c.most_defocus - c.least_defocus) * uniform(rng);
  const double difference = c.astigmatism * uniform(rng);
  // What the STAR file says, to its last digit.
  const auto rounded = [](double v, double unit) { return std::round(v / unit) * unit; };
  p.defocus_u = rounded(defocus + difference / 2, 0.01);
  p.defocus_v = rounded(defocus - difference / 2, 0.01);
  p.defocus_angle = rounded(180 * uniform(rng), 0.01);
  p.b_factor = rounded(c.least_b_factor + (c.most_b_factor - c.least_b_factor) * uniform(rng), 0.01);
  p.phase_shift = c.phase_shift;
  p.beam_tilt_x = c.beam_tilt_x;
  p.beam_tilt_y = c.beam_tilt_y;
  d.ctf.emplace(p);
  return d;
}

View view_of(const Draw& d) { return {d.rotation, d.x, d.y, d.ctf ? &*d.ctf : nullptr}; }

StarTable optics_table(const ParticleOptions& o) {
  StarTable t;
  t.name = "optics";
  t.labels = {"rlnOpticsGroup",       "rlnOpticsGroupName", "rlnVoltage",   "rlnSphericalAberration",
              "rlnAmplitudeContrast", "rlnImagePixelSize",  "rlnImageSize", "rlnImageDimensionality"};
  std::vector<std::string> cells = {"1",
                                    "simulated",
                                    fmt::format("{}", o.ctf.voltage),
                                    fmt::format("{}", o.ctf.spherical_aberration),
                                    fmt::format("{}", o.ctf.amplitude_contrast),
                                    fmt::format("{}", o.pixel_size),
                                    std::to_string(o.box),
                                    "2"};
  if (o.ctf.on && (o.ctf.beam_tilt_x != 0 || o.ctf.beam_tilt_y != 0)) {
    t.labels.insert(t.labels.end(), {"rlnBeamTiltX", "rlnBeamTiltY"});
    cells.push_back(fmt::format("{}", o.ctf.beam_tilt_x));
    cells.push_back(fmt::format("{}", o.ctf.beam_tilt_y));
  }
  t.add_row(cells);
  return t;
}

/// The rows of particles.star and those with the poses.
struct Rows {
  StarTable plain, known;

  explicit Rows(const ParticleOptions& o) {
    plain.name = "particles";
    plain.labels = {"rlnImageName", "rlnMicrographName", "rlnOpticsGroup", "rlnRandomSubset"};
    if (o.ctf.on)
      plain.labels.insert(plain.labels.end(), {"rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle", "rlnPhaseShift",
                                               "rlnCtfBfactor", "rlnCtfScalefactor"});
    known = plain;
    known.labels.insert(known.labels.end(),
                        {"rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi", "rlnOriginXAngst", "rlnOriginYAngst"});
  }

  void add(int i, const std::string& stack, const Draw& d, double pixel_size) {
    std::vector<std::string> cells = {fmt::format("{:06d}@{}", i + 1, stack), fmt::format("micrograph{}", i % 10), "1",
                                      std::to_string(1 + i % 2)};
    if (d.ctf) {
      const CtfParameters& p = d.ctf->parameters();
      for (const double v : {p.defocus_u, p.defocus_v, p.defocus_angle, p.phase_shift, p.b_factor, p.scale})
        cells.push_back(fmt::format("{:.6f}", v));
    }
    plain.add_row(cells);
    const EulerAngles e = euler_from(d.rotation);
    // RELION's origins are the moves that bring the particle back to the centre.
    for (const double v : {e.rot, e.tilt, e.psi, -d.x * pixel_size, -d.y * pixel_size})
      cells.push_back(fmt::format("{:.6f}", v));
    known.add_row(cells);
  }
};

/// Replaces the phases of the coefficients at or beyond `edge` (units of 1/box) by random ones.
void randomise_phases(std::mt19937_64& rng, double edge, std::size_t n, std::complex<float>* half) {
  std::uniform_real_distribution<float> angle(0, 2 * std::numbers::pi_v<float>);
  const std::size_t width = n / 2 + 1;
  for (std::size_t y = 0; y < n; ++y)
    for (std::size_t x = 0; x < width; ++x) {
      const bool own_mate = x == 0 || 2 * x == n;
      // Of a pair in these columns the first draws; a coefficient that is its own mate is real, and only its sign is
      // drawn.
      const std::size_t mate = (n - y) % n;
      if (own_mate && mate < y) {
        half[y * width + x] = std::conj(half[mate * width + x]);
        continue;
      }
      if (std::hypot(static_cast<double>(x), static_cast<double>(signed_frequency(y, n))) < edge) continue;
      const float a = angle(rng), size = std::abs(half[y * width + x]);
      half[y * width + x] = own_mate && mate == y ? std::complex<float>(a < std::numbers::pi_v<float> ? size : -size)
                                                  : std::polar(size, a);
    }
}

/// Signal, noise and phases of one image.
class NoisyImager {
 public:
  NoisyImager(const ParticleOptions& o, const Imager& imager, const ImageTransform& transform,
              const std::vector<float>& amplitudes)
      : options_(o), imager_(imager), transform_(transform), amplitudes_(amplitudes), half_(o.box / 2 + 1, o.box, 1) {}

  void make(const Draw& d, std::mt19937_64& rng, float* out) {
    const std::size_t n = options_.box, area = n * n;
    const bool in_fourier = options_.noise.coloured || options_.randomise_phases_beyond > 0;
    if (!in_fourier) {
      if (options_.noise_only)
        std::fill_n(out, area, 0.f);
      else
        imager_.image(view_of(d), out);
      add_white_noise(rng, out, area);
      return;
    }
    std::fill_n(out, area, 0.f);
    add_white_noise(rng, out, area);
    if (noise_.data.empty()) noise_ = Grid<std::complex<float>>(n / 2 + 1, n, 1);
    transform_.forward(out, noise_.data.data());
    if (options_.noise_only)
      half_.fill(0);
    else
      imager_.transform(view_of(d), half_.data.data());
    const float scale = 1 / static_cast<float>(area);
    for (std::size_t i = 0; i < half_.size(); ++i) half_.data[i] += noise_.data[i] * (amplitudes_[i] * scale);
    if (options_.randomise_phases_beyond > 0)
      randomise_phases(rng, static_cast<double>(n) * options_.pixel_size / options_.randomise_phases_beyond, n,
                       half_.data.data());
    transform_.inverse(half_.data.data(), out);
  }

 private:
  const ParticleOptions& options_;
  Imager imager_;
  const ImageTransform& transform_;
  const std::vector<float>& amplitudes_;
  Grid<std::complex<float>> half_, noise_;
};

Map density_of(const Structure& structure, const ParticleOptions& o) {
  if (o.factor > 0) return pdb_to_mrc(structure, {o.box, o.pixel_size, o.pdb2mrc_resolution});
  DensityOptions density;
  density.box = o.box;
  density.voxel = o.pixel_size;
  density.b_factor = o.b_factor;
  return density_map(structure, density);
}

void scale_by(Map& map, double factor) {
  for (float& v : map.data) v = static_cast<float>(v * factor);
}

}  // namespace

Map mirrored(const Map& map) {
  Map out(map.nx, map.ny, map.nz);
  const std::size_t plane = map.nx * map.ny;
  for (std::size_t z = 0; z < map.nz; ++z)
    // Voxel N/2 stays; 0, which has no counterpart, too.
    std::copy_n(map.data.begin() + static_cast<std::ptrdiff_t>((z == 0 ? 0 : map.nz - z) * plane), plane,
                out.data.begin() + static_cast<std::ptrdiff_t>(z * plane));
  return out;
}

ParticleFiles simulate_particles(const Structure& structure, const ParticleOptions& o, const std::string& folder,
                                 const std::function<void(int)>& progress) {
  namespace fs = std::filesystem;
  check(o);
  const auto at = [&](const char* name) { return (fs::path(folder) / name).string(); };
  ParticleFiles files{at("particles.mrcs"), at("particles.star"), at("particles_truth.star"), at("truth.mrc"),
                      at("initial.mrc")};

  Map truth = density_of(structure, o);
  fs::create_directories(folder);
  double variance = 0;
  {
    // Mean over views of their own. The noise has unit variance, so this is the SNR.
    Imager imager(truth, o.pixel_size);
    constexpr int kViews = 64;
    for (int i = 0; i < kViews; ++i) {
      std::mt19937_64 rng = image_generator(o.seed + 0x5eed, static_cast<std::uint64_t>(i));
      const Draw d = draw(o, rng);
      variance += imager.variance(view_of(d)) / kViews;
    }
  }
  const double scale = o.factor > 0 ? o.factor : std::sqrt(o.snr / variance);
  files.snr = variance * scale * scale;
  scale_by(truth, scale);

  const Imager first(truth, o.pixel_size);
  const ImageTransform transform(o.box);
  const std::vector<float> amplitudes = noise_amplitudes(o.noise, o.box, o.pixel_size);
  Rows rows(o);
  // RELION takes paths relative to its own working folder, which is not known here.
  const std::string stack_path = fs::absolute(files.stack).lexically_normal().string();
  const auto count = static_cast<std::size_t>(o.count);
  MrcStackWriter stack(files.stack, o.box, o.box, count, o.pixel_size);
  make_images(
      stack, o.box, count,
      [&]() -> ImageMaker {
        return [&, maker = NoisyImager(o, first, transform, amplitudes)](std::size_t i, float* image) mutable {
          std::mt19937_64 rng = image_generator(o.seed, i);
          const Draw d = draw(o, rng);
          maker.make(d, rng, image);
        };
      },
      [&](std::size_t made) {
        if (progress) progress(static_cast<int>(made));
      });
  // Drawn again rather than kept: the images are many, the draws quick.
  for (std::size_t i = 0; i < count; ++i) {
    std::mt19937_64 rng = image_generator(o.seed, i);
    rows.add(static_cast<int>(i), stack_path, draw(o, rng), o.pixel_size);
  }
  stack.close();

  Map start = truth;
  if (o.mirrored_start) start = mirrored(truth);
  if (!o.other_start.empty()) {
    start = density_of(read_structure(o.other_start, o.hydrogens), o);
    scale_by(start, scale);
  }
  StarFile plain, known;
  plain.tables = {optics_table(o), std::move(rows.plain)};
  known.tables = {optics_table(o), std::move(rows.known)};
  write_star(files.star, plain);
  write_star(files.truth_star, known);
  write_mrc(files.truth, truth, o.pixel_size);
  write_mrc(files.initial, low_passed(start, o.pixel_size, o.start_resolution), o.pixel_size);
  return files;
}

}  // namespace cryored
