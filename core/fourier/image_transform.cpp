#include "core/fourier/image_transform.hpp"

#include <fftw3.h>

#include <mutex>
#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "core/fourier/fft_planner.hpp"
#include "core/fourier/grid.hpp"

namespace cryored {

struct ImageTransform::Plans {
  std::size_t coefficients = 0;
  fftwf_plan forward = nullptr, columns = nullptr, rows = nullptr;  // the last two: inverse
};

ImageTransform::ImageTransform(std::size_t box) : plans_(std::make_unique<Plans>()) {
  // FFTW_ESTIMATE: a measured plan depends on what else the machine did, and with it the last digits of the images.
  // The unmeasured 2D plan of the inverse does its columns in place, at two to three times the time.
  Grid<float> image(box, box, 1);
  Grid<std::complex<float>> half(box / 2 + 1, box, 1), between(box / 2 + 1, box, 1);
  const int n = static_cast<int>(box), width = static_cast<int>(box / 2 + 1);
  auto *from = reinterpret_cast<fftwf_complex*>(half.data.data()),
       *to = reinterpret_cast<fftwf_complex*>(between.data.data());
  plans_->coefficients = half.size();
  std::lock_guard<std::mutex> lock(fft_planner_mutex());
  plan_one_thread();
  plans_->forward = fftwf_plan_dft_r2c_2d(n, n, image.data.data(), from, FFTW_ESTIMATE | FFTW_PRESERVE_INPUT);
  plans_->columns =
      fftwf_plan_many_dft(1, &n, width, from, nullptr, width, 1, to, nullptr, width, 1, FFTW_BACKWARD, FFTW_ESTIMATE);
  plans_->rows = fftwf_plan_many_dft_c2r(1, &n, n, to, nullptr, 1, width, image.data.data(), nullptr, 1, n,
                                         FFTW_ESTIMATE | FFTW_DESTROY_INPUT);
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
  thread_local std::vector<std::complex<float>, AlignedAllocator<std::complex<float>>> between;
  between.resize(plans_->coefficients);
  auto* to = reinterpret_cast<fftwf_complex*>(between.data());
  // Out of place FFTW leaves the input of complex transforms as it is.
  fftwf_execute_dft(plans_->columns, reinterpret_cast<fftwf_complex*>(const_cast<std::complex<float>*>(half)), to);
  fftwf_execute_dft_c2r(plans_->rows, to, image);
}

}  // namespace cryored
