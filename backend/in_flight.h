// InFlight: the calls that one connection carries, in the order in which they were sent.
//
// A call's place is part of its seqid, so a reply finds its call in one step whatever the order of
// the replies. Places are used again at once; rounds, one for each call, only after all others, at
// least 32767 calls later: a second reply to a call finds nobody. A call that was let go of keeps
// its place until its reply came: the backend is still at work on it.
//
// Lifetime: of its session; an Entry's pointer holds until the next Add. Threading: its worker's
// loop. Errors: none.
#pragma once

#include <cstdint>
#include <vector>

#include "base/clock.h"
#include "call/call.h"

namespace trestle::backend {

class InFlight {
 public:
  struct Entry {
    call::Call* call = nullptr;  // null: let go of; its reply is dropped
    uint64_t begin = 0;          // of its request in all that was queued
    uint64_t end = 0;
    base::TimePoint since{};  // sent; of a large request: its last byte
    int32_t seqid = 0;
    bool oneway = false;
    bool used = false;
    uint32_t previous = 0, next = 0;
  };

  explicit InFlight(uint32_t places);

  // At the end of the order. Not when full.
  Entry* Add(call::Call* call, base::TimePoint now);
  Entry* Find(int32_t seqid);
  Entry* Of(const call::Call* call);
  Entry* oldest() { return At(first_); }
  Entry* Next(const Entry* entry) { return At(entry->next); }
  // The oldest that was not written whole, and that it is now.
  Entry* unwritten() { return At(unwritten_); }
  void OnWritten(const Entry* entry) { unwritten_ = entry->next; }
  // Its caller wants it no more; its place stays taken.
  void LetGo(Entry* entry);
  void Remove(Entry* entry);

  uint32_t size() const { return size_; }
  uint32_t live() const { return live_; }  // not let go of
  bool empty() const { return size_ == 0; }
  bool full() const { return size_ >= places_; }

 private:
  static constexpr uint32_t kNone = ~uint32_t{0};
  Entry* At(uint32_t place) { return place == kNone ? nullptr : &entries_[place]; }
  uint32_t PlaceOf(const Entry* entry) const {
    return static_cast<uint32_t>(entry - entries_.data());
  }
  int32_t NextSeqid(uint32_t place);

  uint32_t places_;
  uint32_t bits_;  // of a seqid that are the place
  uint32_t round_ = 0;
  uint32_t size_ = 0, live_ = 0;
  uint32_t first_ = kNone, last_ = kNone, unwritten_ = kNone, free_ = kNone;
  std::vector<Entry> entries_;  // as many as were ever used at once
};

}  // namespace trestle::backend
