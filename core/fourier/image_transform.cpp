#include "core/fourier/image_transform.hpp"

#include <fftw3.h>

#include <mutex>
#include <string>

#include "core/base/error.hpp"
#include "core/fourier/fft_planner.hpp"
#include "core/fourier/grid.hpp"

namespace cryored {

struct ImageTransform::Plans {
  fftwf_plan forward = nullptr, inverse = nullptr;
};

ImageTransform::ImageTransform(std::size_t box) : plans_(std::make_unique<Plans>()) {
  // FFTW_ESTIMATE: a measured plan depends on what else the machine did, and with it the last digits of the images.
  Grid<float> image(box, box, 1);
  Grid<std::complex<float>> half(box / 2 + 1, box, 1);
  const int n = static_cast<int>(box);
  auto* coefficients = reinterpret_cast<fftwf_complex*>(half.data.data());
  std::lock_guard<std::mutex> lock(fft_planner_mutex());
  plan_one_thread();
  plans_->forward = fftwf_plan_dft_r2c_2d(n, n, image.data.data(), coefficients, FFTW_ESTIMATE | FFTW_PRESERVE_INPUT);
  plans_->inverse = fftwf_plan_dft_c2r_2d(n, n, coefficients, image.data.data(), FFTW_ESTIMATE | FFTW_DESTROY_INPUT);
  if (plans_->forward == nullptr || plans_->inverse == nullptr)
    throw SystemError(Problem{"Fourier transform", "box", std::to_string(box), "a box that fits into memory",
                              "check the box size of the images"});
}

ImageTransform::~ImageTransform() {
  std::lock_guard<std::mutex> lock(fft_planner_mutex());
  if (plans_->forward != nullptr) fftwf_destroy_plan(plans_->forward);
  if (plans_->inverse != nullptr) fftwf_destroy_plan(plans_->inverse);
}

void ImageTransform::forward(const float* image, std::complex<float>* half) const {
  fftwf_execute_dft_r2c(plans_->forward, const_cast<float*>(image), reinterpret_cast<fftwf_complex*>(half));
}

void ImageTransform::inverse(std::complex<float>* half, float* image) const {
  fftwf_execute_dft_c2r(plans_->inverse, reinterpret_cast<fftwf_complex*>(half), image);
}

}  // namespace cryored
