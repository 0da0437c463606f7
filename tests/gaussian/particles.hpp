#pragma once
// Small particle sets made from Gaussian blobs, and RELION's programs run on them.

#include <filesystem>
#include <string>
#include <vector>

#include "core/base/temporary_folder.hpp"

namespace cryored {

/// Forty blobs seen from random directions, with noise of twice the image's standard deviation:
/// `folder/particles.mrcs`, `folder/particles.star` (known angles, two random subsets; to be read from there) and, up
/// to box 64, the density itself as `folder/reference.mrc`.
void write_particles(const std::filesystem::path& folder, int box, int count, double pixel_size);

bool have_program(const std::string& name);

/// Runs a shell command with RELION's external program set; standard output and error go to `folder/log`.
/// Returns the exit status, and prints the log's end when it is not 0.
int run_relion(const TemporaryFolder& folder, const std::string& external, const std::string& command,
               bool failure_expected = false);

/// Appends the tau2 table that relion_reconstruct leaves out: falling with resolution ("full"), 0 from
/// N/4 on ("cut"), or 0 everywhere, with an FSC column of zeros ("zero").
void append_tau2(const std::string& star, int box, double padding_volume_times_mean_weight, const std::string& shape);

}  // namespace cryored
