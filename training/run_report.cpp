#include "training/run_report.hpp"

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <limits>
#include <set>

#include "core/base/atomic_file.hpp"
#include "core/base/error.hpp"
#include "core/base/json_text.hpp"
#include "core/report/page.hpp"
#include "core/report/plot.hpp"

namespace cryored {
namespace {

using nlohmann::json;

double number_or_nan(const json& line, const std::string& key) {
  const auto found = line.find(key);
  return found != line.end() && found->is_number() ? found->get<double>() : std::numeric_limits<double>::quiet_NaN();
}

/// Numbers short, lists of names by their length, texts as they are.
std::string shown(const json& value) {
  if (value.is_number_float()) {
    char text[32];
    std::snprintf(text, sizeof text, "%.4g", value.get<double>());
    return text;
  }
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  if (value.is_null()) return "none";
  if (value.is_array() && !value.empty() && value[0].is_string()) return std::to_string(value.size());
  if (value.is_array()) {
    std::string text;
    for (const auto& one : value) text += (text.empty() ? "" : ", ") + shown(one);
    return text;
  }
  return value.dump();
}

/// A key of ours as words: "learning_rate" -> "learning rate".
std::string words(std::string key) {
  for (char& c : key)
    if (c == '_') c = ' ';
  return key;
}

/// "a 1; b 2".
std::string list_of(const json& object) {
  std::string text;
  for (const auto& [key, value] : object.items()) text += (text.empty() ? "" : "; ") + words(key) + " " + shown(value);
  return text;
}

/// "1 rank", "2 ranks".
std::string counted(std::size_t n, const std::string& thing) {
  return std::to_string(n) + " " + thing + (n == 1 ? "" : "s");
}

std::string duration(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, seconds < 360 ? "%.0f s" : "%.2f h", seconds < 360 ? seconds : seconds / 3600);
  return text;
}

/// Characters that would end a cell of a Markdown table.
std::string cell(const std::string& text) {
  std::string safe;
  for (const char c : text) {
    if (c == '|') safe += '\\';
    safe += c == '\n' ? ' ' : c;
  }
  return safe;
}

/// A line of the log without what tells of the run and not of the network.
json judged(const json& line) {
  json kept;
  for (const auto& [key, value] : line.items())
    if (value.is_number() && !key.starts_with("seconds") && key != "examples_per_second" && key != "rate" &&
        key != "of" && key != "best_step" && !std::isnan(value.get<double>()))
      kept[key] = value;
  return kept;
}

PlotSeries series(const std::vector<json>& lines, const std::string& key, const std::string& name) {
  PlotSeries s;
  s.name = name;
  s.markers = lines.size() < 60;
  for (const auto& line : lines) {
    s.x.push_back(number_or_nan(line, "step"));
    s.y.push_back(number_or_nan(line, key));
  }
  return s;
}

std::string curves_page(const RunReport& r) {
  ReportPage page(r.task.name + ": training", "Written by cryored train after every validation.");
  std::vector<std::string> plots;
  const auto add = [&](const std::string& title, const std::string& label, const std::vector<PlotSeries>& lines) {
    PlotOptions options;
    options.title = title;
    options.x_label = "step";
    options.y_label = label;
    options.whole_x = true;
    plots.push_back(line_plot_svg(lines, options));
  };
  add("Loss", "loss", {series(r.lines, "loss", "training"), series(r.lines, "validation_loss", "validation")});
  for (const auto& group : r.task.curves) {
    std::vector<PlotSeries> all;
    for (const auto& [key, name] : group.keys) all.push_back(series(r.lines, key, name));
    add(group.title, group.y_label, all);
  }
  add("Learning rate", "rate", {series(r.lines, "rate", "rate")});
  page.figures(plots);
  ReportTable table;
  table.caption = "The validation that the weights file holds";
  table.columns = {"figure", "value"};
  const json figures = judged(r.shipped);
  for (const auto& [key, value] : figures.items()) table.rows.push_back({words(key), shown(value)});
  page.table(table);
  page.heading("Sessions");
  for (const auto& session : r.sessions) {
    page.code(session.value("command", ""));
    page.paragraph(list_of(session));
  }
  return page.html();
}

}  // namespace

std::string TaskDescription::card_file() const {
  return std::filesystem::path(weights_file).replace_extension(".md").string();
}

RunLog::RunLog(const std::string& folder, std::int64_t step) : path_(folder + "/log.jsonl") {
  std::ifstream file(path_);
  std::string text;
  while (std::getline(file, text)) {
    json line = json::parse(text, nullptr, false);
    if (!line.is_object() || !line.contains("step") || line["step"].get<std::int64_t>() > step) continue;
    // A run that was killed between its log and its checkpoint did one validation twice.
    std::erase_if(lines_, [&](const json& known) { return known["step"] == line["step"]; });
    lines_.push_back(std::move(line));
  }
  if (!file.is_open()) return;
  file.close();
  std::string kept;
  for (const auto& line : lines_) kept += json_text(line) + "\n";
  write_text_atomically(path_, kept);
}

void RunLog::append(const json& line) {
  std::ofstream file(path_, std::ios::app);
  file << json_text(line) << "\n";
  file.close();
  if (!file)
    throw SystemError(Problem{path_, "", "cannot be written", "a folder with space",
                              "see whether the disk is full, then start the run again: it goes on"});
  lines_.push_back(line);
}

std::string model_card(const RunReport& r) {
  std::string card = "# Model card of " + r.task.name + "\n\n| | |\n|---|---|\n";
  const auto row = [&](const std::string& name, const std::string& text) {
    card += "| " + name + " | " + cell(text) + " |\n";
  };
  double seconds = 0;
  std::set<std::string> commits, hardware;
  for (const auto& s : r.sessions) {
    seconds += s.value("seconds", 0.0);
    commits.insert(s.value("version", "?") + ", commit " + s.value("commit", "unknown"));
    hardware.insert(s.value("hardware", "unknown") + ", " + counted(s.value("ranks", std::size_t{1}), "rank") + " of " +
                    counted(s.value("threads", std::size_t{1}), "thread") + " (" + s.value("engine", "one process") +
                    ")");
  }
  const auto joined = [](const std::set<std::string>& all) {
    std::string text;
    for (const auto& one : all) text += (text.empty() ? "" : "; ") + one;
    return text;
  };
  row("task", r.task.purpose);
  row("network", r.task.network);
  row("data", list_of(r.data));
  row("optimisation", list_of(r.settings));
  row("program", "cryored " + joined(commits));
  row("hardware", joined(hardware));
  row("time", duration(seconds) + " in " + counted(r.sessions.size(), "session") + ", validation included");
  row("validation", list_of(judged(r.shipped)));
  row("curves", "`curves.html`, `curves.json`, `log.jsonl`");
  row("licence", r.task.licence);
  card += "\n## Commands\n\n";
  for (const auto& s : r.sessions) card += "    " + s.value("command", "") + "\n";
  card +=
      "\n`--help` gives the defaults of that commit. How the data were made is not known to `cryored train`: "
      "add it here.\n\n## Limits\n\n";
  for (const auto& limit : r.task.limits) card += "- " + limit + "\n";
  return card;
}

void write_run_report(const std::string& folder, const RunReport& r) {
  json curves{{"name", r.task.name}, {"shipped", r.shipped}, {"sessions", r.sessions}};
  std::set<std::string> keys;
  for (const auto& line : r.lines)
    for (const auto& [key, value] : line.items()) keys.insert(key);
  for (const auto& key : keys) {
    json column = json::array();
    for (const auto& line : r.lines) column.push_back(line.contains(key) ? line[key] : json());
    curves["curves"][key] = column;
  }
  write_text_atomically(folder + "/curves.json", json_text(curves, 1) + "\n");
  write_text_atomically(folder + "/curves.html", curves_page(r));
  write_text_atomically(folder + "/" + r.task.card_file(), model_card(r));
}

}  // namespace cryored
