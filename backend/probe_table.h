// ProbeTable: what the endpoints said that were asked whether they speak mux, for all workers of
// the process: one at a time asks an endpoint, and what it says is known to all.
//
// Lifetime: outlives its Turns and every pool that asks it. Threading: from any thread; it has a
// lock, and no call stands on it. Errors: none.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "backend/options.h"
#include "base/clock.h"
#include "net/address.h"

namespace trestle::backend {

class ProbeTable {
 public:
  static constexpr base::Duration kHoldsFor = std::chrono::minutes(10);

  // The right to ask an endpoint; it ends with what it said, or with the Turn.
  class Turn {
   public:
    Turn(ProbeTable* table, std::string endpoint) : table_(table), endpoint_(std::move(endpoint)) {}
    ~Turn() { table_->End(endpoint_); }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    void Tell(Wire wire, base::TimePoint now) { table_->Tell(endpoint_, wire, now); }

   private:
    ProbeTable* table_;
    std::string endpoint_;
  };

  struct Answer {
    std::optional<Wire> known;
    base::TimePoint until{};     // that it is known
    std::unique_ptr<Turn> turn;  // null when it is not known: another one asks
  };
  Answer Ask(const net::Address& endpoint, base::TimePoint now);
  // It did not do as it was known to.
  void Forget(const net::Address& endpoint);

 private:
  struct Entry {
    bool asked = false;
    std::optional<Wire> wire;
    base::TimePoint until{};
  };
  void Tell(const std::string& endpoint, Wire wire, base::TimePoint now);
  void End(const std::string& endpoint);

  std::mutex mutex_;
  std::unordered_map<std::string, Entry> entries_;  // those that are of no use any more go in Ask
  size_t sweep_at_ = 1000;
};

}  // namespace trestle::backend
