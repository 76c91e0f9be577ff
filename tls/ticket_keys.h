// TicketKeys: what session tickets are sealed with. A ticket lets a client resume without the whole
// handshake, at any worker and after a reload, as long as these keys are the same.
//
// Keys are made at random, stay in memory, and are replaced by time: a fresh one is made once the
// last is `every` old, and the one before it still opens tickets for as long again.
//
// Lifetime: shared by the contexts that replace each other. Threading: any; a lock that only
// handshakes take. Errors: none.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "base/clock.h"

namespace trestle::tls {

struct TicketKey {
  std::array<uint8_t, 16> name;
  std::array<uint8_t, 32> cipher;  // AES-256
  std::array<uint8_t, 32> mac;     // HMAC-SHA-256
  base::TimePoint made;
};

class TicketKeys {
 public:
  explicit TicketKeys(const base::Clock* clock, base::Duration every = std::chrono::hours(12));
  ~TicketKeys();
  TicketKeys(const TicketKeys&) = delete;
  TicketKeys& operator=(const TicketKeys&) = delete;

  // The key for new tickets.
  TicketKey Current();
  struct Found {
    TicketKey key;
    bool old;  // the ticket should be replaced
  };
  std::optional<Found> Find(const uint8_t name[16]);

 private:
  void Rotate();

  const base::Clock* clock_;
  base::Duration every_;
  std::mutex mutex_;
  std::vector<TicketKey> keys_;  // the newest first
};

}  // namespace trestle::tls
