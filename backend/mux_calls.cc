#include "backend/mux_calls.h"

#include <cassert>

namespace trestle::backend {
namespace {

// A call that is answered sooner is not worth the copy.
constexpr auto kLong = std::chrono::milliseconds(20);

}  // namespace

MuxCalls::~MuxCalls() {
  metrics_->tags->Add(-static_cast<int64_t>(tags_.size()));
  metrics_->abandoned->Add(-static_cast<int64_t>(abandoned_));
}

MuxCalls::Entry* MuxCalls::Add(call::Call* call, base::TimePoint now) {
  const uint32_t tag = tags_.Add(Entry(owner_, call, now));
  assert(tag != 0);
  Entry* e = tags_.Find(tag);
  e->tag = tag;
  call->holder = e;
  Link(e);
  if (!loose_) loose_ = e;
  metrics_->tags->Add(1);
  return e;
}

void MuxCalls::Release(Entry* entry) {
  if (entry->call) entry->call->holder = nullptr;
  entry->call = nullptr;
}

void MuxCalls::ToOneway(Entry* entry) {
  Release(entry);
  Unlink(entry);
  entry->state = State::kOneway;
  Link(entry);
}

void MuxCalls::Abandon(Entry* entry, State state) {
  Release(entry);
  Unlink(entry);
  entry->state = state;
  ++abandoned_;
  metrics_->abandoned->Add(1);
}

void MuxCalls::Remove(Entry* entry) {
  Release(entry);
  if (ListOf(entry)) {
    Unlink(entry);
  } else {
    --abandoned_;
    metrics_->abandoned->Add(-1);
  }
  metrics_->tags->Add(-1);
  tags_.Remove(entry->tag);
}

MuxCalls::List* MuxCalls::ListOf(const Entry* entry) {
  if (entry->state == State::kWaiting) return &waiting_;
  return entry->state == State::kOneway ? &oneways_ : nullptr;
}

void MuxCalls::Link(Entry* entry) {
  List* list = ListOf(entry);
  entry->previous = list->last;
  entry->next = nullptr;
  (list->last ? list->last->next : list->first) = entry;
  list->last = entry;
}

void MuxCalls::Unlink(Entry* entry) {
  List* list = ListOf(entry);
  if (loose_ == entry) loose_ = entry->next;
  (entry->previous ? entry->previous->next : list->first) = entry->next;
  (entry->next ? entry->next->previous : list->last) = entry->previous;
}

// Two at each call: as many as there are grow old in no less time.
void MuxCalls::CompactOld(base::TimePoint now) {
  for (int i = 0; i < 2 && loose_ && now - loose_->since >= kLong; i++) {
    loose_->call->request.Compact();
    loose_->call->header_bytes.Compact();
    loose_ = loose_->next;
  }
}

}  // namespace trestle::backend
