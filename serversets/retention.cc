#include "serversets/retention.h"

#include <algorithm>
#include <cmath>

namespace trestle::serversets {

using naming::Endpoint;

void Retention::Take(const std::vector<Endpoint>& there, base::TimePoint now) {
  std::map<Key, Member> members;
  for (const Endpoint& endpoint : there) {
    members.insert({{endpoint.host, endpoint.port}, {endpoint, std::nullopt, true}});
  }
  for (auto& [key, member] : members_) {
    if (members.contains(key)) continue;
    if (!member.gone) member.gone = now;
    if (*member.gone + std::max({options_.hold, options_.stabilization, kEmptied}) <= now) continue;
    members.insert({key, std::move(member)});
  }
  members_ = std::move(members);
}

// Sizes that were smaller than a later one tell nothing any more.
void Retention::Count(size_t there, base::TimePoint now) {
  if (!sizes_.empty()) sizes_.back().until = now;
  while (!sizes_.empty() && sizes_.front().until + options_.hold <= now) sizes_.pop_front();
  while (!sizes_.empty() && sizes_.back().there <= there) sizes_.pop_back();
  sizes_.push_back({there, now});
}

size_t Retention::LeastServed(Set set) const {
  const size_t most = sizes_.front().there;
  if (set == Set::kUnsure) return most;
  if (most < kLeastGuarded) return 0;
  return static_cast<size_t>(std::ceil(options_.min_retained * static_cast<double>(most)));
}

std::vector<Endpoint> Retention::Update(const std::vector<Endpoint>& there, Set set,
                                        base::TimePoint now) {
  Take(there, now);
  std::vector<Member*> gone;
  for (auto& [key, member] : members_) {
    if (member.gone) gone.push_back(&member);
  }
  const size_t present = members_.size() - gone.size();
  Count(present, now);
  std::stable_sort(gone.begin(), gone.end(),
                   [](const Member* a, const Member* b) { return *a->gone > *b->gone; });
  next_.reset();
  held_ = 0;
  const size_t least = LeastServed(set);
  size_t guarded = least > present ? least - present : 0;
  const base::Duration any =
      std::max(options_.stabilization, set == Set::kEmptied ? kEmptied : base::Duration{});
  for (Member* member : gone) {
    base::TimePoint until = *member->gone + any;
    if (member->served && guarded > 0) {
      --guarded;
      until = std::max(until, *member->gone + options_.hold);
    }
    member->served &= until > now;
    if (!member->served) continue;
    ++held_;
    next_ = std::min(next_.value_or(until), until);
  }
  std::vector<Endpoint> served;
  for (const auto& [key, member] : members_) {
    if (member.served) served.push_back(member.endpoint);
  }
  return served;
}

}  // namespace trestle::serversets
