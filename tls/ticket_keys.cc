#include "tls/ticket_keys.h"

#include <glog/logging.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cstring>

namespace trestle::tls {

TicketKeys::TicketKeys(const base::Clock* clock, base::Duration every)
    : clock_(clock), every_(every) {}

TicketKeys::~TicketKeys() {
  for (TicketKey& key : keys_) OPENSSL_cleanse(&key, sizeof key);
}

void TicketKeys::Rotate() {
  const base::TimePoint now = clock_->Now();
  std::erase_if(keys_, [&](const TicketKey& key) { return now - key.made >= 2 * every_; });
  if (!keys_.empty() && now - keys_.front().made < every_) return;
  TicketKey fresh{};
  const bool random = RAND_bytes(fresh.name.data(), sizeof fresh.name) == 1 &&
                      RAND_priv_bytes(fresh.cipher.data(), sizeof fresh.cipher) == 1 &&
                      RAND_priv_bytes(fresh.mac.data(), sizeof fresh.mac) == 1;
  CHECK(random) << "the system has no random bytes";
  fresh.made = now;
  keys_.insert(keys_.begin(), fresh);
  if (keys_.size() > 2) keys_.pop_back();
}

TicketKey TicketKeys::Current() {
  std::lock_guard lock(mutex_);
  Rotate();
  return keys_.front();
}

std::optional<TicketKeys::Found> TicketKeys::Find(const uint8_t name[16]) {
  std::lock_guard lock(mutex_);
  Rotate();
  for (const TicketKey& key : keys_) {
    if (std::memcmp(key.name.data(), name, key.name.size()) == 0) {
      return Found{key, &key != &keys_.front()};
    }
  }
  return std::nullopt;
}

}  // namespace trestle::tls
