#include "backend/in_flight.h"

#include <algorithm>
#include <bit>
#include <cassert>

namespace trestle::backend {
namespace {

// As conf bounds maxInFlight; leaves 32767 rounds in a seqid.
constexpr uint32_t kMostInFlight = 65'536;

}  // namespace

InFlight::InFlight(uint32_t places)
    : places_(std::clamp(places, 1u, kMostInFlight)),
      bits_(static_cast<uint32_t>(std::bit_width(places_ - 1))) {}

// Positive: some servers take a negative seqid badly.
int32_t InFlight::NextSeqid(uint32_t place) {
  const uint32_t rounds = static_cast<uint32_t>(INT32_MAX) >> bits_;
  round_ = round_ == rounds ? 1 : round_ + 1;
  return static_cast<int32_t>(round_ << bits_ | place);
}

InFlight::Entry* InFlight::Add(call::Call* call, base::TimePoint now) {
  assert(!full());
  uint32_t place = free_;
  if (place == kNone) {
    place = static_cast<uint32_t>(entries_.size());
    entries_.emplace_back();
  } else {
    free_ = entries_[place].next;
  }
  call->place = place;
  Entry* e = &entries_[place];
  *e = Entry{call, 0, 0, now, NextSeqid(place), call->oneway(), true, last_, kNone};
  (last_ == kNone ? first_ : entries_[last_].next) = place;
  last_ = place;
  if (unwritten_ == kNone) unwritten_ = place;
  ++size_;
  ++live_;
  return e;
}

InFlight::Entry* InFlight::Find(int32_t seqid) {
  const uint32_t place = static_cast<uint32_t>(seqid) & ((uint32_t{1} << bits_) - 1);
  if (place >= entries_.size()) return nullptr;
  Entry* e = &entries_[place];
  return e->used && e->seqid == seqid ? e : nullptr;
}

InFlight::Entry* InFlight::Of(const call::Call* call) {
  Entry* e = call->place < entries_.size() ? &entries_[call->place] : nullptr;
  return e && e->call == call ? e : nullptr;
}

void InFlight::LetGo(Entry* entry) {
  if (!entry->call) return;
  entry->call = nullptr;
  --live_;
}

void InFlight::Remove(Entry* entry) {
  LetGo(entry);
  const uint32_t place = PlaceOf(entry);
  (entry->previous == kNone ? first_ : entries_[entry->previous].next) = entry->next;
  (entry->next == kNone ? last_ : entries_[entry->next].previous) = entry->previous;
  if (unwritten_ == place) unwritten_ = entry->next;
  entry->used = false;
  entry->next = free_;
  free_ = place;
  --size_;
}

}  // namespace trestle::backend
