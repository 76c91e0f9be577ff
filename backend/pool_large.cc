// The part of Pool for a large request that waits for a connection of its own, and those behind it.
#include <utility>

#include "backend/pool.h"

namespace trestle::backend {
namespace {

constexpr size_t kLook = 16;  // at calls that wait, or connections, for one
// So long calls may pass a large request that waits. Then they wait too, so that any connection
// becomes idle at last.
constexpr auto kKeepFor = std::chrono::seconds(10);

}  // namespace

call::Call* Pool::NextServed(Session** session) {
  call::Call* call = waiters_.front();
  *session = Pick(*call);
  if (*session) return call;
  Keep();
  for (size_t looked = 0; looked < kLook && MayPass(); looked++) {
    call = waiters_.Next(call);
    if (!call) return nullptr;
    if (!call->streamed && (*session = Pick(*call))) return call;
  }
  return nullptr;
}

void Pool::Keep() {
  const bool wanted = !waiters_.empty() && waiters_.front()->streamed && openings_.empty();
  if (wanted && !kept_) {
    kept_ = PickKept();
    kept_since_ = loop_->Now();
    if (kept_) lendable_.Remove(kept_);
  } else if (!wanted && kept_) {
    Session* session = std::exchange(kept_, nullptr);
    if (Fit(*session)) lendable_.Put(session);
  }
}

// One that is full, as no place is lost with it; else one of several that have places.
Session* Pool::PickKept() const {
  size_t looked = 0;
  Session* with_places = nullptr;
  for (Session* session : sessions_) {
    if (looked++ == kLook) break;
    if (!session->busy() || session->leaving) continue;
    if (session->shelf == Session::Shelf::kNone) return session;
    with_places = session;
  }
  return sessions_.size() > 1 ? with_places : nullptr;
}

// An idle one that it cannot use (the other protocol) makes place for one that it can.
bool Pool::MayPass() const {
  return kept_ && lendable_.idle().empty() && loop_->Now() - kept_since_ < kKeepFor;
}

}  // namespace trestle::backend
