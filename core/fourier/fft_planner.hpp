#pragma once
// FFTW's planner is not thread-safe; execution on other arrays is. For the files of core/fourier.

#include <mutex>

namespace cryored {

std::mutex& fft_planner_mutex();
/// The next plan, made with the mutex held, is for one thread.
void plan_one_thread();

}  // namespace cryored
