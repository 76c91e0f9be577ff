// MuxCalls: the calls of one mux session: by tag, and in the order in which they were sent.
//
// A tag is taken until its answer came, whoever waits for it: a call that was let go of leaves an
// abandoned one behind, a oneway one that is still of interest, as closing the connection could
// stop the backend's work on it. A tag whose message was cut short gets no answer from Finagle; it
// is free when a ping that was sent after is answered.
//
// Each Entry is the Holder of its call, so letting go needs no search.
//
// Lifetime: of its session; an Entry lives until it is removed. Threading: its worker's loop.
// Errors: none.
#pragma once

#include <cstdint>

#include "backend/mux_metrics.h"
#include "base/clock.h"
#include "call/call.h"
#include "mux/tags.h"

namespace trestle::backend {

class MuxCalls {
 public:
  struct Entry;
  class Owner {
   public:
    virtual ~Owner() = default;
    // The call is let go of; it is still in `entry`.
    virtual void OnCancel(Entry* entry) = 0;
  };
  static constexpr uint64_t kNever = UINT64_MAX;

  enum class State : uint8_t {
    kWaiting,    // a call waits
    kOneway,     // a oneway was written and is not answered
    kAbandoned,  // nobody waits
    kCut,        // nobody waits, and the message was not written whole
  };
  struct Entry final : call::Holder {
    Entry(Owner* o, call::Call* c, base::TimePoint now)
        : owner(o), call(c), since(now), oneway(c->mux_oneway()) {}
    void OnCancel(call::Call*) override { owner->OnCancel(this); }

    Owner* owner;
    call::Call* call;  // kWaiting only
    base::TimePoint since;
    uint32_t tag = 0;
    State state = State::kWaiting;
    bool oneway;
    bool old = false;                       // sent as Treq
    uint64_t begin = kNever, end = kNever;  // of its message in all that was queued; known in time
    uint64_t ping = 0;                      // kCut: the ping whose answer frees the tag
    Entry* previous = nullptr;              // in its list
    Entry* next = nullptr;
  };

  MuxCalls(Owner* owner, MuxMetrics* metrics) : owner_(owner), metrics_(metrics) {}
  ~MuxCalls();
  MuxCalls(const MuxCalls&) = delete;
  MuxCalls& operator=(const MuxCalls&) = delete;

  // Under the lowest free tag, and the call's Holder. Only with fewer than kMostCalls.
  Entry* Add(call::Call* call, base::TimePoint now);
  Entry* Find(uint32_t tag) { return tags_.Find(tag); }
  // The call is its no more.
  void Release(Entry* entry);
  void ToOneway(Entry* entry);
  // kAbandoned or kCut.
  void Abandon(Entry* entry, State state);
  void Remove(Entry* entry);

  // In the order of sending; `next` goes on.
  Entry* waiting() { return waiting_.first; }
  Entry* oneways() { return oneways_.first; }
  size_t size() const { return tags_.size(); }
  size_t live() const { return tags_.size() - abandoned_; }
  size_t abandoned() const { return abandoned_; }
  // What waits for long must not hold on to read memory: looks at the oldest ones.
  void CompactOld(base::TimePoint now);

 private:
  struct List {
    Entry* first = nullptr;
    Entry* last = nullptr;
  };
  List* ListOf(const Entry* entry);
  void Link(Entry* entry);
  void Unlink(Entry* entry);

  Owner* owner_;
  MuxMetrics* metrics_;
  mux::Tags<Entry> tags_;
  List waiting_, oneways_;
  Entry* loose_ = nullptr;  // the first in waiting_ that was not compacted
  size_t abandoned_ = 0;
};

}  // namespace trestle::backend
