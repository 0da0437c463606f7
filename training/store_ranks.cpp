#include "training/store_ranks.hpp"

#include <c10/util/Exception.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <fstream>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <vector>

#include "core/base/error.hpp"

namespace cryored {
namespace {

using Bytes = std::vector<std::uint8_t>;

using Store = c10::intrusive_ptr<c10d::Store>;
using Clock = std::chrono::steady_clock;

/// Host name and boot: containers of one machine may have names of their own, machines of a cluster the same one.
std::string this_machine() {
  char name[256] = "";
  gethostname(name, sizeof name - 1);
  std::string boot;
  std::getline(std::ifstream("/proc/sys/kernel/random/boot_id"), boot);
  return name + (" " + boot);
}

/// "beat/3" and the like.
std::string key(const std::string& name, int rank) { return name + "/" + std::to_string(rank); }

constexpr auto kStartPatience = std::chrono::minutes(5);

Store connect(const TorchrunVariables& a, bool serve) {
  c10d::TCPStoreOptions options;
  options.port = static_cast<std::uint16_t>(a.port);
  options.isServer = serve;
  options.waitWorkers = false;
  options.timeout = kStartPatience;
  return c10::make_intrusive<c10d::PrefixStore>("cryored", c10::make_intrusive<c10d::TCPStore>(a.host, options));
}

/// Counts up in the store for as long as the rank lives, through a connection of its own: the rank may compute for
/// long, and a store that waits serves no other thread.
class Heartbeat {
 public:
  Heartbeat(const Store& store, int rank, std::chrono::milliseconds every) {
    store->add(key("beat", rank), 1);
    thread_ = std::jthread([this, store, rank, every](const std::stop_token& stop) {
      try {
        std::unique_lock lock(mutex_);
        while (!changed_.wait_for(lock, stop, every, [&] { return stop.stop_requested(); }))
          store->add(key("beat", rank), 1);
      } catch (const c10::Error&) {
        // The store is gone; the rank itself finds out.
      }
    });
  }

 private:
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::jthread thread_;  // the last member: it uses the others
};

class StoreRanks : public Ranks {
 public:
  StoreRanks(const TorchrunVariables& a, std::chrono::milliseconds patience) : patience_(patience) {
    rank_ = a.rank;
    size_ = a.size;
    guard("start", [&] {
      const Store all = connect(a, a.rank == 0 && !a.agent_serves);
      const std::string attempt = first() ? std::to_string(all->add("attempt", 1)) : attempt_of_first(*all);
      const auto of_attempt = [&](const Store& store) -> Store {
        return c10::make_intrusive<c10d::PrefixStore>(attempt, store);
      };
      store_ = of_attempt(all);
      heartbeat_.emplace(of_attempt(connect(a, false)), rank_, patience_ / 8);
      const std::string here = this_machine();
      store_->set(key("here", rank_), Bytes(here.begin(), here.end()));
      if (first()) welcome_others(*all, attempt);
      std::vector<std::string> machines;
      for (int r = 0; r < size_; ++r) {
        const Bytes there = store_->get(key("here", r));
        machines.emplace_back(there.begin(), there.end());
      }
      const bool known = a.local_rank >= 0 && a.local_size > 0;
      const auto until = [&](auto end) { return static_cast<int>(std::count(machines.begin(), end, here)); };
      local_rank_ = known ? a.local_rank : until(machines.begin() + rank_);
      local_size_ = known ? a.local_size : until(machines.end());
    });
  }
  ~StoreRanks() override {
    if (finished_) return;
    try {
      // The first to fail is the one to look at.
      const std::string rank = std::to_string(rank_);
      if (!store_->check({key("failed", 0)})) store_->set(key("failed", 0), Bytes(rank.begin(), rank.end()));
    } catch (const std::exception&) {
      // The store is gone, and the others with it.
    }
  }

  std::string engine() const override { return "LibTorch TCPStore"; }

  void sum(std::span<float> values) override {
    guard("sum", [&] {
      const auto ranks = static_cast<std::size_t>(size_), me = static_cast<std::size_t>(rank_);
      const auto from = [&](std::size_t r) { return values.size() * r / ranks; };
      const auto part = [&](std::size_t r) { return values.subspan(from(r), from(r + 1) - from(r)); };
      const std::string round = std::to_string(round_++);
      for (std::size_t r = 0; r < ranks; ++r)
        if (r != me) store_->set(key(round + "/part" + std::to_string(rank_), static_cast<int>(r)), bytes(part(r)));
      std::vector<float> mine(part(me).begin(), part(me).end()), total(mine.size(), 0.0F);
      for (std::size_t r = 0; r < ranks; ++r) {
        std::vector<float> other = mine;
        if (r != me) take(key(round + "/part" + std::to_string(r), rank_), other, true);
        for (std::size_t i = 0; i < total.size(); ++i) total[i] += other[i];
      }
      store_->set(key(round + "/sum", rank_), bytes(total));
      for (std::size_t r = 0; r < ranks; ++r) {
        std::vector<float> there(part(r).size());
        if (r == me)
          there = total;
        else
          take(key(round + "/sum", static_cast<int>(r)), there, false);
        std::copy(there.begin(), there.end(), part(r).begin());
      }
      // All have read the sums of the round before: they have sent their parts of this one.
      if (round_ > 1) store_->deleteKey(key(std::to_string(round_ - 2) + "/sum", rank_));
    });
  }

  void broadcast(void* data, std::size_t count) override {
    guard("broadcast", [&] {
      const std::string name = key("broadcast" + std::to_string(broadcasts_++), 0);
      if (first()) {
        const auto* at = static_cast<const std::uint8_t*>(data);
        store_->set(name, Bytes(at, at + count));
      } else {
        const Bytes got = get(name);
        check_size(name, got.size(), count);
        std::memcpy(data, got.data(), count);
      }
      // The last reader removes it.
      if (store_->add(name + "/read", 1) == size_) {
        store_->deleteKey(name);
        store_->deleteKey(name + "/read");
      }
    });
  }

  void finish() override {
    guard("end", [&] {
      store_->set(key("done", rank_), Bytes{1});
      // The server leaves last.
      if (first())
        for (int r = 0; r < size_; ++r) await(key("done", r));
    });
    finished_ = true;
  }

 private:
  // torchrun's store outlives its ranks and keeps what those that failed have left, so that each attempt has keys of
  // its own. Which attempt it is only the first rank counts: torchrun's own counts differ between machines. Each other
  // rank counts its arrivals and waits for the answer to this one, which none but the first rank of this attempt can
  // give: torchrun ends all ranks before it starts one anew. An arrival of old is answered in vain.
  std::string attempt_of_first(c10d::Store& all) const {
    const std::int64_t arrival = all.add(key("arrivals", rank_), 1);
    const Bytes answer = all.get(welcome(rank_, arrival));
    return {answer.begin(), answer.end()};
  }
  void welcome_others(c10d::Store& all, const std::string& attempt) {
    const auto end = Clock::now() + kStartPatience;
    std::map<int, std::int64_t> answered;
    for (int r = 1; r < size_; ++r)
      for (; !store_->check({key("here", r)}); std::this_thread::sleep_for(std::chrono::milliseconds(20))) {
        if (Clock::now() > end)
          throw SystemError(Problem{"TCPStore", "rank " + std::to_string(r), "did not come", "all ranks running",
                                    "see its output, MASTER_ADDR and MASTER_PORT; the same command goes on"});
        for (int other = r; other < size_; ++other)
          if (const std::int64_t arrival = all.add(key("arrivals", other), 0); arrival != answered[other]) {
            all.set(welcome(other, arrival), Bytes(attempt.begin(), attempt.end()));
            answered[other] = arrival;
          }
      }
  }
  static std::string welcome(int rank, std::int64_t arrival) {
    return key("welcome", rank) + "/" + std::to_string(arrival);
  }
  static Bytes bytes(std::span<const float> values) {
    Bytes out(values.size_bytes());
    std::memcpy(out.data(), values.data(), out.size());
    return out;
  }
  static void check_size(const std::string& name, std::size_t found, std::size_t expected) {
    if (found != expected)
      throw SystemError(Problem{"TCPStore", name, std::to_string(found) + " bytes", std::to_string(expected),
                                "start all ranks with the same options"});
  }
  /// Waits until the store has `name`, however long the others compute, but for no rank that is gone. Asks again and
  /// again: wait() of the store warns on stderr whenever its time is over.
  void await(const std::string& name) {
    const auto begin = Clock::now();
    auto look = begin + patience_ / 4;
    while (!store_->check({name})) {
      const auto now = Clock::now();
      if (now >= look) {
        look_after_others();
        look = now + patience_ / 4;
      }
      // At most a tenth later than with a wait, and fifty questions a second.
      std::this_thread::sleep_for(std::min<Clock::duration>((now - begin) / 10, std::chrono::milliseconds(20)));
    }
  }
  void look_after_others() {
    if (store_->check({key("failed", 0)})) {
      const Bytes rank = store_->get(key("failed", 0));
      throw gone({rank.begin(), rank.end()}, "ended with an error", "see its output");
    }
    const auto now = Clock::now();
    for (int r = 0; r < size_; ++r) {
      Sign& last = signs_[r];
      const std::int64_t beats = store_->add(key("beat", r), 0);
      if (beats != last.beats)
        last = {beats, now};
      else if (now - last.seen > patience_ && !store_->check({key("done", r)}))
        throw gone(std::to_string(r),
                   "no sign of life for " +
                       std::to_string(std::chrono::duration_cast<std::chrono::seconds>(patience_).count()) + " s",
                   "see whether it was killed, and its machine");
    }
  }
  static SystemError gone(const std::string& rank, const std::string& how, const std::string& remedy) {
    return SystemError(Problem{"TCPStore", "rank " + rank, how, "all ranks running",
                               remedy + "; the same command goes on from the checkpoint"});
  }
  Bytes get(const std::string& name) {
    await(name);
    return store_->get(name);
  }
  void take(const std::string& name, std::vector<float>& into, bool remove) {
    const Bytes got = get(name);
    check_size(name, got.size(), into.size() * sizeof(float));
    std::memcpy(into.data(), got.data(), got.size());
    if (remove) store_->deleteKey(name);
  }
  template <class Work>
  void guard(const char* what, const Work& work) {
    try {
      work();
    } catch (const c10::Error& e) {
      throw SystemError(
          Problem{"TCPStore", what, e.what_without_backtrace(), "all ranks running",
                  "see the output of the other ranks, MASTER_ADDR and MASTER_PORT; the same command goes on"});
    }
  }

  struct Sign {
    std::int64_t beats = 0;
    Clock::time_point seen;
  };
  std::chrono::milliseconds patience_;
  Store store_;
  std::optional<Heartbeat> heartbeat_;
  std::map<int, Sign> signs_;
  std::int64_t round_ = 0, broadcasts_ = 0;
  bool finished_ = false;
};

}  // namespace

std::unique_ptr<Ranks> join_store(const TorchrunVariables& address, std::chrono::milliseconds patience) {
  return std::make_unique<StoreRanks>(address, patience);
}

}  // namespace cryored
