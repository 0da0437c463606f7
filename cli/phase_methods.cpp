#include "cli/phase_methods.hpp"

#include <charconv>
#include <cmath>

#include "cli/network_options.hpp"
#include "cli/phase_library.hpp"
#include "cli/simulation_options.hpp"
#include "core/base/error.hpp"
#include "core/base/sha256.hpp"
#include "preprocessing/phase/filters.hpp"

namespace cryored {

const char* const kPhaseMethodWords =
    "raw (the image as it is), lowpass:A, flip, wiener:SNR:B, iterative:ROUNDS:A, tv:ROUNDS:STRENGTH, "
    "pinn, pinn:WEIGHTS";

namespace {

class Observation : public PhaseMethod {
 public:
  void retrieve(ParticleImages&) override {}
  std::string description() const override { return "raw"; }
};

struct Word {
  std::string option, text;

  [[noreturn]] void refuse() const {
    throw UsageError(Problem{"--" + option, "", text, std::string(kPhaseMethodWords) + "; with commas between",
                             "see cryored phase --help for the numbers"});
  }
  double number(const std::string& part, double low, double high) const {
    double value = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
    if (error != std::errc() || end != part.data() + part.size() || !(value >= low && value <= high)) refuse();
    return value;
  }
  int rounds(const std::string& part) const {
    const double value = number(part, 1, 10000);
    if (value != std::floor(value)) refuse();
    return static_cast<int>(value);
  }
};

}  // namespace

std::string NamedPhaseMethod::file_name() const {
  std::string name = word;
  for (char& c : name)
    if (c == ':' || c == '/') c = '_';
  return name;
}

std::vector<NamedPhaseMethod> named_phase_methods(const Settings& settings, const std::string& option, int threads) {
  std::vector<NamedPhaseMethod> methods;
  for (const std::string& text : split_words(settings.text(option), ',')) {
    const Word word{option, text};
    for (const NamedPhaseMethod& m : methods)
      if (m.word == text)
        throw UsageError(Problem{"--" + option, "", text + " twice", "each method once", "leave one out"});
    const std::vector<std::string> parts = split_words(text, ':');
    const std::string name = parts.empty() ? "" : parts[0];
    const auto has = [&](const char* wanted, std::size_t numbers) {
      if (name != wanted) return false;
      if (parts.size() != numbers + 1) word.refuse();
      return true;
    };
    NamedPhaseMethod m;
    m.word = text;
    m.ctf = CtfState::corrected;
    const auto device = [&] { return choose_device(settings.text("device"), survey_gpus()); };
    if (has("raw", 0)) {
      m.ctf = CtfState::as_before;
      m.method = std::make_unique<Observation>();
    } else if (has("lowpass", 1)) {
      m.ctf = CtfState::as_before;
      m.method = make_lowpass({word.number(parts[1], 0.01, 1e4)}, threads);
    } else if (has("flip", 0)) {
      m.ctf = CtfState::flipped;
      m.method = make_flip(threads);
    } else if (has("wiener", 2)) {
      m.method = make_wiener({word.number(parts[1], 1e-6, 1e6), word.number(parts[2], 0, 1e5)}, threads);
    } else if (has("iterative", 2)) {
      m.method = load_phase_library().make_iterative({word.rounds(parts[1]), word.number(parts[2], 0.01, 1e4)},
                                                     device(), threads);
    } else if (has("tv", 2)) {
      m.method =
          load_phase_library().make_tv({word.rounds(parts[1]), word.number(parts[2], 0, 1e4)}, device(), threads);
    } else if (name == "pinn") {
      Settings mine = settings;
      if (text != name) mine.values["weights"].text = text.substr(name.size() + 1);
      m.weights = phase_weights_in_force(mine);
      m.weights_sha256 = sha256_file(m.weights);
      m.method = load_phase_library().make_pinn(m.weights, precision_in_force(settings), device(), threads);
    } else {
      word.refuse();
    }
    methods.push_back(std::move(m));
  }
  if (methods.empty())
    throw UsageError(Problem{"--" + option, "", "none", std::string(kPhaseMethodWords) + "; with commas between", ""});
  return methods;
}

}  // namespace cryored
