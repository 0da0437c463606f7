#include "training/store_ranks.hpp"

#include <c10/util/Exception.h>

#include <chrono>
#include <cstring>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <vector>

#include "core/base/error.hpp"

namespace cryored {
namespace {

using Bytes = std::vector<std::uint8_t>;

class StoreRanks : public Ranks {
 public:
  explicit StoreRanks(const TorchrunVariables& a) {
    rank_ = a.rank;
    size_ = a.size;
    local_rank_ = a.local_rank;
    local_size_ = a.local_size;
    c10d::TCPStoreOptions options;
    options.port = static_cast<std::uint16_t>(a.port);
    options.isServer = a.rank == 0 && !a.agent_serves;
    options.waitWorkers = false;
    options.timeout = std::chrono::minutes(5);
    guard("start", [&] {
      store_ = c10::make_intrusive<c10d::TCPStore>(a.host, options);
      store_->set(key("here", rank_), Bytes{1});
      for (int r = 0; r < size_; ++r) store_->wait({key("here", r)});
    });
    // Others may be in a validation for long.
    store_->setTimeout(std::chrono::hours(12));
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
        const Bytes got = store_->get(name);
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
        for (int r = 0; r < size_; ++r) store_->wait({key("done", r)});
    });
  }

 private:
  static std::string key(const std::string& name, int rank) { return "cryored/" + name + "/" + std::to_string(rank); }
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
  void take(const std::string& name, std::vector<float>& into, bool remove) {
    const Bytes got = store_->get(name);
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

  c10::intrusive_ptr<c10d::TCPStore> store_;
  std::int64_t round_ = 0, broadcasts_ = 0;
};

}  // namespace

std::unique_ptr<Ranks> join_store(const TorchrunVariables& address) { return std::make_unique<StoreRanks>(address); }

}  // namespace cryored
