#include "backend/probe_table.h"

#include <algorithm>

namespace trestle::backend {

ProbeTable::Answer ProbeTable::Ask(const net::Address& endpoint, base::TimePoint now) {
  const std::string key = endpoint.Show();
  const std::lock_guard lock(mutex_);
  if (entries_.size() >= sweep_at_) {
    std::erase_if(entries_, [now](const auto& at) {
      return !at.second.asked && (!at.second.wire || at.second.until <= now);
    });
    sweep_at_ = std::max<size_t>(1000, 2 * entries_.size());
  }
  Entry& entry = entries_[key];
  Answer answer;
  if (entry.wire && entry.until > now) {
    answer.known = entry.wire;
    answer.until = entry.until;
  } else if (!entry.asked) {
    entry.asked = true;
    answer.turn = std::make_unique<Turn>(this, key);
  }
  return answer;
}

void ProbeTable::Tell(const std::string& endpoint, Wire wire, base::TimePoint now) {
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_[endpoint];
  entry.wire = wire;
  entry.until = now + kHoldsFor;
}

void ProbeTable::End(const std::string& endpoint) {
  const std::lock_guard lock(mutex_);
  entries_[endpoint].asked = false;
}

void ProbeTable::Forget(const net::Address& endpoint) {
  const std::lock_guard lock(mutex_);
  const auto at = entries_.find(endpoint.Show());
  if (at != entries_.end()) at->second.wire.reset();
}

}  // namespace trestle::backend
