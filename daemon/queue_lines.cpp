#include "daemon/queue_lines.hpp"

#include <algorithm>

namespace cryored::daemon {

bool Lines::completes(const Line& line, const Entry& entry) {
  const int half = entry.plan.facts.half;
  return line.open && half != 0 && half != line.half && pair_of(entry) == line.pair;
}

void Lines::add(EntryPtr entry) {
  lines_[entry->plan.facts.job].waiting.push_back(std::move(entry));
  ++size_;
}

void Lines::remove(const EntryPtr& entry) {
  const auto line = lines_.find(entry->plan.facts.job);
  if (line == lines_.end()) return;
  auto& waiting = line->second.waiting;
  const auto at = std::find(waiting.begin(), waiting.end(), entry);
  if (at == waiting.end()) return;
  waiting.erase(at);
  --size_;
}

void Lines::take(const EntryPtr& entry) {
  remove(entry);
  Line& line = lines_[entry->plan.facts.job];
  if (completes(line, *entry)) {
    line.open = false;
  } else {
    line.last_turn = ++turns_;
    line.open = entry->plan.facts.half != 0;
    line.pair = pair_of(*entry);
    line.half = entry->plan.facts.half;
  }
  // Jobs come and go for days. A line that is forgotten counts as never served, which harms nobody.
  if (lines_.size() > 256) std::erase_if(lines_, [](const auto& item) { return item.second.waiting.empty(); });
}

std::vector<EntryPtr> Lines::order() const {
  struct Cursor {
    std::uint64_t turn;
    std::deque<EntryPtr> left;
  };
  std::vector<EntryPtr> result;
  result.reserve(size_);
  std::vector<Cursor> cursors;
  for (const auto& [job, line] : lines_) {
    if (line.waiting.empty()) continue;
    Cursor cursor{line.last_turn, line.waiting};
    const auto partner = std::find_if(cursor.left.begin(), cursor.left.end(),
                                      [&line = line](const EntryPtr& e) { return completes(line, *e); });
    if (partner != cursor.left.end()) {
      result.push_back(*partner);
      cursor.left.erase(partner);
    }
    if (!cursor.left.empty()) cursors.push_back(std::move(cursor));
  }
  for (std::uint64_t turn = turns_; !cursors.empty();) {
    // Among jobs that never had a turn, the one that has waited longest.
    const auto next = std::min_element(cursors.begin(), cursors.end(), [](const Cursor& a, const Cursor& b) {
      return std::pair(a.turn, a.left.front()->ticket) < std::pair(b.turn, b.left.front()->ticket);
    });
    const EntryPtr entry = next->left.front();
    next->left.pop_front();
    result.push_back(entry);
    if (const int half = entry->plan.facts.half; half != 0) {
      const auto partner = std::find_if(next->left.begin(), next->left.end(), [&](const EntryPtr& other) {
        const int its = other->plan.facts.half;
        return its != 0 && its != half && pair_of(*other) == pair_of(*entry);
      });
      if (partner != next->left.end()) {
        result.push_back(*partner);
        next->left.erase(partner);
      }
    }
    next->turn = ++turn;
    if (next->left.empty()) cursors.erase(next);
  }
  return result;
}

bool may_run_on(const Plan& plan, const Device& device) {
  if (plan.devices.empty()) return !device.only_when_asked;
  return std::find(plan.devices.begin(), plan.devices.end(), device.name) != plan.devices.end();
}

}  // namespace cryored::daemon
