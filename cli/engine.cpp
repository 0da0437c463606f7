#include "cli/engine.hpp"

#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "cli/builtin_denoiser.hpp"
#include "cli/command.hpp"
#include "cli/network_options.hpp"
#include "cli/threads.hpp"
#include "core/base/atomic_file.hpp"
#include "core/base/checkpoint.hpp"
#include "core/base/device_failure.hpp"
#include "core/base/error.hpp"
#include "core/base/json_text.hpp"
#include "core/reconstruct/gpu.hpp"
#include "core/reconstruct/pipeline.hpp"
#include "core/reconstruct/request_name.hpp"
#include "daemon/refused.hpp"

namespace cryored {
namespace {

Settings settings_of(const daemon::Request& request) {
  Surroundings around;
  around.folder = request.cwd;
  around.environment = request.environment;
  return parse_options(reconstruct_command().spec, request.words, persistent_options(), around);
}

daemon::Facts facts_of(const ReconstructRequest& request) {
  daemon::Facts facts;
  facts.map = map_name(request);
  // Names that do not follow RELION's pattern: the folder is the job.
  std::filesystem::path job(request.job_root);
  if (request.iteration < 0) job = std::filesystem::path(request.star_path).parent_path();
  facts.job = job.lexically_normal().string();  // RELION says ./run when it is called so
  facts.iteration = request.iteration;
  facts.half = request.half;
  facts.number = request.class_number;
  facts.is_body = request.is_body;
  return facts;
}

/// Of words that cannot be understood or whose files cannot be read: what the STAR file's name tells.
daemon::Facts facts_of_words(const daemon::Request& request) {
  const std::string ending = ".star";
  for (const std::string& word : request.words)
    if (word.size() > ending.size() && word[0] != '-' &&
        word.compare(word.size() - ending.size(), ending.size(), ending) == 0)
      return facts_of(request_of_name(word[0] == '/' ? word : request.cwd + "/" + word));
  return {};
}

daemon::Outcome failed(const std::string& message, int code, const daemon::Facts& facts) {
  daemon::Outcome outcome;
  outcome.exit = code;
  outcome.err = "cryored: error: " + message + "\n";
  outcome.facts = facts;
  return outcome;
}

}  // namespace

std::uint64_t reconstruction_memory(const ReconstructRequest& request) {
  const auto p = static_cast<std::uint64_t>(request.padded_box()), n = static_cast<std::uint64_t>(request.box);
  const auto r = static_cast<std::uint64_t>(cut_radius(request));
  const std::uint64_t depth = request.dimensionality == 3 ? p : 1, maps = request.dimensionality == 3 ? n : 1;
  const std::uint64_t ball = request.dimensionality == 3 ? 21 * r * r * r / 10 : 2 * r * r;
  const std::uint64_t grid = request.dimensionality == 3 ? (2 * r + 3) * (2 * r + 3) * (2 * r + 3) : 0;
  return 8 * p * (p / 2 + 1) * depth + 24 * ball + 12 * grid + 20 * n * n * maps + (64u << 20);
}

std::vector<daemon::Device> devices_of(const EngineOptions& options, const GpuSurvey& survey) {
  std::vector<daemon::Device> devices;
  const bool cpu_alone =
      options.despite_broken_gpus && options.device == "auto" && survey.state == GpuSurvey::State::broken;
  if (options.device != "cpu" && !cpu_alone) {
    const DeviceChoice choice = choose_device(options.device, survey);  // says what is wrong with a broken driver
    if (!choice.cuda && !options.gpus.empty())
      throw SystemError(
          Problem{"--gpus", "GPU", "none (" + survey.reason + ")", "a machine with NVIDIA GPUs", "leave --gpus away"});
    std::vector<int> indices = options.gpus;
    if (choice.cuda && indices.empty()) {
      if (options.device.rfind("cuda:", 0) == 0)
        indices = {choice.gpu.index};
      else
        for (const Gpu& gpu : survey.gpus) indices.push_back(gpu.index);
    }
    for (const int index : indices) {
      const std::string name = "cuda:" + std::to_string(index);
      const DeviceChoice one = choose_device(name, survey);
      devices.push_back({name, one.text, one.gpu.memory, false});
    }
  }
  const int threads = options.threads > 0 ? options.threads : usable_processors();
  devices.push_back({"cpu", "CPU (" + std::to_string(threads) + (threads == 1 ? " thread)" : " threads)"), 0,
                     cpu_alone || !devices.empty()});
  return devices;
}

ReconstructEngine::ReconstructEngine(const EngineOptions& options) : options_(options) {
  GpuSurvey survey = options.device == "cpu" ? GpuSurvey{} : survey_gpus();
  devices_ = devices_of(options, survey);
  if (survey.state != GpuSurvey::State::broken) return;
  survey_ = std::move(survey);
  survey_.remedy += ", then end this daemon (cryored daemon --stop)";
}

int ReconstructEngine::threads_on(const std::string& device) const {
  if (options_.threads > 0) return options_.threads;
  // GPUs compute side by side; the CPU's requests come one at a time, and beside GPUs they are rare.
  return device == "cpu" ? usable_processors() : share_of_processors(static_cast<int>(devices_.size()) - 1);
}

daemon::Plan ReconstructEngine::examine(const daemon::Request& request) {
  try {
    return plan_of(request);
  } catch (const Error& error) {
    throw daemon::Refused(error, facts_of_words(request));
  }
}

daemon::Plan ReconstructEngine::plan_of(const daemon::Request& request) const {
  const Settings settings = settings_of(request);
  daemon::Plan plan;
  if (settings.help) {
    plan.devices = {"cpu"};  // which every daemon has
    return plan;
  }
  const RunIntent intent = intend_reconstruction(settings);
  plan.facts = facts_of(intent.request);
  const std::string& wanted = settings.text("device");
  if (survey_.state == GpuSurvey::State::broken && wanted != "cpu") {
    // As in a process of its own: an error, but for what would not ask for a GPU there either. Never a quiet CPU.
    if (wanted != "auto" || !intent.weights.empty() || !gpu::library_path().empty()) choose_device(wanted, survey_);
    plan.devices = {"cpu"};
  } else if (wanted != "auto") {
    for (const auto& device : devices_)
      if (device.name == wanted || (wanted == "cuda" && device.name != "cpu")) plan.devices.push_back(device.name);
    if (plan.devices.empty()) {
      std::string have;
      for (const auto& device : devices_) have += (have.empty() ? "" : ", ") + device.name;
      throw SystemError(Problem{"--device", "", wanted, "a device of the daemon: " + have,
                                "stop the daemon with cryored daemon --stop, or compute without it (--no-daemon)"});
    }
  }
  plan.memory = plan.least_memory = reconstruction_memory(intent.request);
  if (intent.weights.empty()) return plan;
  // Wrong weights are told before the turn comes, as in a process of its own.
  if (is_builtin(intent.weights)) {
    builtin_info(intent.weights);
    return plan;
  }
  const WeightsInfo info = read_denoiser_info(intent.weights);
  const bool on_cpu = std::any_of(devices_.begin(), devices_.end(), [&](const daemon::Device& device) {
    return device.name == "cpu" &&
           (plan.devices.empty() ? !device.only_when_asked
                                 : std::find(plan.devices.begin(), plan.devices.end(), "cpu") != plan.devices.end());
  });
  if (!on_cpu || !intent.decision.needs_denoiser || intent.decision.pixel_size <= 0) return plan;
  const double ratio = intent.decision.pixel_size / info.voxel_size;
  const auto edge = static_cast<std::size_t>(std::max(4.0, intent.request.box * ratio) + 2);
  const Precision precision = settings.text("precision") == "bf16" ? Precision::bf16 : Precision::float32;
  const int block = default_block(info.architecture, info.block, info.voxel_size, edge),
            least = 2 * info.architecture.multiple();
  plan.memory += denoiser_memory(info.architecture, edge, block, 1, precision);
  plan.least_memory += denoiser_memory(info.architecture, edge, std::min(block, least), 1, precision);
  return plan;
}

daemon::Outcome ReconstructEngine::run(const daemon::Request& request, const daemon::Plan& plan,
                                       const daemon::Turn& turn, const daemon::CancelToken& cancel) {
  const CheckpointScope scope([&] {
    if (cancel.cancelled() || (request.wanted && !request.wanted())) throw daemon::Cancelled{};
  });
  const FileUmaskScope callers_umask(request.umask.value_or(options_.umask));
  daemon::Outcome outcome;
  outcome.facts = plan.facts;
  try {
    const Settings settings = settings_of(request);
    if (settings.help) {
      outcome.exit = 0;
      outcome.out = help_text(reconstruct_command().spec);
      return outcome;
    }
    RunPlace place;
    place.alone = false;
    place.device = turn.device->name;
    place.threads = threads_on(turn.device->name);
    if (turn.device->name != "cpu") {
      place.memory_limit = options_.gpu_memory_limit;
    } else if (turn.memory_limit != 0 && turn.memory_limit < plan.memory) {
      const std::uint64_t fixed = reconstruction_memory(intend_reconstruction(settings).request);
      place.memory_limit = turn.memory_limit > fixed ? turn.memory_limit - fixed : 0;
    }
    place.networks = [this](const WeightsInfo& info, const DenoiserOptions& options) { return network(info, options); };
    place.served_by = {
        {"daemon", options_.daemon_name}, {"pid", getpid()}, {"request", request.id}, {"attempt", request.attempt}};
    const ReconstructOutcome result = run_reconstruction(settings, place);
    outcome.exit = 0;
    outcome.out = (settings.flag("json") ? json_text(result.record, 2) : result.line) + "\n";
    const Json& denoiser = result.record["denoiser"];
    outcome.facts.denoiser_ran = denoiser["ran"].get<bool>();
    outcome.facts.lambda = denoiser["lambda"].get<double>();
    if (const Json& nominal = result.record["resolution"]["nominal_A"]; nominal.is_number())
      outcome.facts.resolution = nominal.get<double>();
    outcome.facts.device = result.record["device"]["name"].get<std::string>();
    return outcome;
  } catch (const DeviceMemoryError& error) {
    release_networks(turn.device->name);
    throw daemon::DeviceFull{error.what()};
  } catch (const DeviceFailure& error) {
    throw daemon::DeviceLost{error.what() + std::string(". The daemon leaves, for its process may not get over this: "
                                                        "continue the job, the next call starts another one")};
  } catch (const Error& error) {
    return failed(error.what(), error.exit_code(), plan.facts);
  }
}

std::shared_ptr<BlockDenoiser> ReconstructEngine::network(const WeightsInfo& info, const DenoiserOptions& options) {
  const auto same = [&](const Network& n) {
    return n.path == info.path && n.sha256 == info.sha256 && n.device == options.device &&
           n.precision == options.precision;
  };
  {
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(networks_.begin(), networks_.end(), same);
    if (found != networks_.end()) {
      ++found->passes;
      networks_.splice(networks_.begin(), networks_, found);
      return networks_.front().denoiser;
    }
  }
  // Each device computes one request at a time, so that nobody loads the same one meanwhile.
  auto loaded = new_network(info, options);
  const std::lock_guard lock(mutex_);
  networks_.push_front({info.path, info.sha256, options.device, info.name, options.precision, loaded, 1});
  std::size_t count = 0;
  std::erase_if(networks_,
                [&](const Network& n) { return n.device == options.device && ++count > options_.most_networks; });
  return loaded;
}

void ReconstructEngine::release_networks(const std::string& device) {
  const std::lock_guard lock(mutex_);
  for (Network& network : networks_)
    if (network.device == device) network.denoiser->release_memory();
  std::erase_if(networks_, [&](const Network& n) { return n.device == device; });
}

std::vector<daemon::Engine::Loaded> ReconstructEngine::loaded() const {
  const std::lock_guard lock(mutex_);
  std::vector<Loaded> list;
  for (const Network& n : networks_) list.push_back({n.name, n.sha256, n.device, n.passes});
  return list;
}

}  // namespace cryored
