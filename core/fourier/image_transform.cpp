#include "core/fourier/image_transform.hpp"

#include <fftw3.h>

#include <mutex>
#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/vector_clones.hpp"
#include "core/fourier/fft_planner.hpp"
#include "core/fourier/grid.hpp"

namespace cryored {

struct ImageTransform::Plans {
  std::size_t box = 0, pairs = 0;
  fftwf_plan forward = nullptr, columns = nullptr, rows = nullptr;  // the last two: inverse
};

namespace {

using Lines = std::vector<std::complex<float>, AlignedAllocator<std::complex<float>>>;

fftwf_complex* of_fftw(std::complex<float>* values) { return reinterpret_cast<fftwf_complex*>(values); }

/// Pairs of Hermitian lines, a and b, as complex ones, a + i b: their transforms have one as the real and one as the
/// imaginary part. (FFTW's transforms to single real lines take three times as long, unless its planner measures.)
/// `columns`: [x][y], x to n / 2, y to 2 pairs; `lines`: [x][pair], x to n.
CRYORED_CLONES("default", "avx2")
void pair_lines(const float* columns, std::size_t n, std::size_t pairs, float* lines) {
  for (std::size_t x = 0; x <= n / 2; ++x) {
    const float *a = columns + 4 * x * pairs, *b = a + 2 * pairs;
    float* line = lines + 2 * x * pairs;
    if (x == 0 || 2 * x == n) {  // its own mate: only the real part counts, as in any transform to real numbers
      for (std::size_t j = 0; j < 2 * pairs; j += 2) {
        line[j] = a[j];
        line[j + 1] = b[j];
      }
      continue;
    }
    float* mate = lines + 2 * (n - x) * pairs;
    for (std::size_t j = 0; j < 2 * pairs; j += 2) {
      line[j] = a[j] - b[j + 1];
      line[j + 1] = a[j + 1] + b[j];
      mate[j] = a[j] + b[j + 1];
      mate[j + 1] = b[j] - a[j + 1];
    }
  }
}

CRYORED_CLONES("default", "avx2")
void part_lines(const float* both, std::size_t n, float* first, float* second) {
  for (std::size_t x = 0; x < n; ++x) {
    first[x] = both[2 * x];
    second[x] = both[2 * x + 1];
  }
}

}  // namespace

ImageTransform::ImageTransform(std::size_t box) : plans_(std::make_unique<Plans>()) {
  // FFTW_ESTIMATE: a measured plan depends on what else the machine did, and with it the last digits of the images.
  Grid<float> image(box, box, 1);
  Grid<std::complex<float>> half(box / 2 + 1, box, 1);
  plans_->box = box;
  plans_->pairs = (box + 1) / 2;
  Lines columns(2 * plans_->pairs * (box / 2 + 1)), lines(box * plans_->pairs), parted(lines.size());
  const int n = static_cast<int>(box), width = static_cast<int>(box / 2 + 1), pairs = static_cast<int>(plans_->pairs);
  auto* from = of_fftw(half.data.data());
  std::lock_guard<std::mutex> lock(fft_planner_mutex());
  plan_one_thread();
  plans_->forward = fftwf_plan_dft_r2c_2d(n, n, image.data.data(), from, FFTW_ESTIMATE | FFTW_PRESERVE_INPUT);
  plans_->columns = fftwf_plan_many_dft(1, &n, width, from, nullptr, width, 1, of_fftw(columns.data()), nullptr, 1,
                                        2 * pairs, FFTW_BACKWARD, FFTW_ESTIMATE);
  plans_->rows = fftwf_plan_many_dft(1, &n, pairs, of_fftw(lines.data()), nullptr, pairs, 1, of_fftw(parted.data()),
                                     nullptr, 1, n, FFTW_BACKWARD, FFTW_ESTIMATE);
  if (plans_->forward == nullptr || plans_->columns == nullptr || plans_->rows == nullptr)
    throw SystemError(Problem{"Fourier transform", "box", std::to_string(box), "a box that fits into memory",
                              "check the box size of the images"});
}

ImageTransform::~ImageTransform() {
  std::lock_guard<std::mutex> lock(fft_planner_mutex());
  for (fftwf_plan plan : {plans_->forward, plans_->columns, plans_->rows})
    if (plan != nullptr) fftwf_destroy_plan(plan);
}

void ImageTransform::forward(const float* image, std::complex<float>* half) const {
  fftwf_execute_dft_r2c(plans_->forward, const_cast<float*>(image), reinterpret_cast<fftwf_complex*>(half));
}

void ImageTransform::inverse(const std::complex<float>* half, float* image) const {
  const std::size_t n = plans_->box, pairs = plans_->pairs;
  thread_local Lines columns, lines, parted;
  columns.resize(2 * pairs * (n / 2 + 1));
  lines.resize(n * pairs);
  parted.resize(n * pairs);
  // Out of place FFTW leaves the input of complex transforms as it is.
  fftwf_execute_dft(plans_->columns, of_fftw(const_cast<std::complex<float>*>(half)), of_fftw(columns.data()));
  if (n % 2 == 1)  // the last line has no other
    for (std::size_t x = 0; x <= n / 2; ++x) columns[2 * pairs * x + n] = 0;
  pair_lines(reinterpret_cast<const float*>(columns.data()), n, pairs, reinterpret_cast<float*>(lines.data()));
  fftwf_execute_dft(plans_->rows, of_fftw(lines.data()), of_fftw(parted.data()));
  for (std::size_t j = 0; j < pairs; ++j) {
    float* second = j + pairs < n ? image + (j + pairs) * n : reinterpret_cast<float*>(lines.data());  // no such line
    part_lines(reinterpret_cast<const float*>(parted.data() + j * n), n, image + j * n, second);
  }
}

}  // namespace cryored
