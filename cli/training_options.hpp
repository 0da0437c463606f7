#pragma once
// What cryored train is told about data, network and loss of each task; the command itself has the rest.

#include <vector>

#include "cli/options.hpp"
#include "training/trainer.hpp"

namespace cryored {

/// Options of the tasks, those of both last.
std::vector<OptionSpec> task_option_specs();

/// The values in force for the task. Throw UsageError.
TrainOptions::Denoise denoise_task_options(const Settings& settings);
TrainOptions::Pinn pinn_task_options(const Settings& settings);

}  // namespace cryored
