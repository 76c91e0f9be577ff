// How a mux session ends: drained, gone, idle, old, bad, or standing still.
#include <algorithm>
#include <string>
#include <utility>

#include "server/mux_session.h"

namespace trestle::server {
namespace {

// How long a client has to take the last replies, and to agree to a drain once it has no calls.
constexpr auto kLinger = std::chrono::seconds(2);

std::string Bound(base::Duration d) { return base::ShowMillis(d) + " (bodyIdleTimeoutMs)"; }

}  // namespace

void MuxSession::Start(base::Buffer unread) {
  if (state_ == State::kFresh) server_->mux().sessions->Add();
  connection_.SetTimeouts(options().read_timeout, options().write_timeout);
  connection_.Start(std::move(unread));
  ArmTimer();
}

void MuxSession::OnReconfigured() {
  if (removed_) return;
  connection_.SetTimeouts(options().read_timeout, options().write_timeout);
  Resume();
  ArmTimer();
}

// The end of a session is that of a client that vanished.
void MuxSession::OnEnd() {
  if (MidMessage()) server_->CountBadBytes(connection_.peer(), "ended in the middle of a message");
  Abandon();
}

void MuxSession::Drain() {
  if (removed_ || draining_ != Draining::kNo) return;
  draining_ = Draining::kAsked;
  if (state_ == State::kFresh || state_ == State::kSecuring) return Abandon();
  server_->mux().drains->Add();
  Say(mux::Type::kTdrain, mux::kControlTag);
  CloseIfDone();
}

// Closes the connection when nothing more can come of it.
void MuxSession::CloseIfDone() {
  if (removed_ || connection_.closing() || !calls_.empty()) return;
  if (bad_) return CloseAfterWrites();
  // The rest of a message comes, or its time runs out.
  if (draining_ == Draining::kNo || HasPieces()) return;
  if (draining_ == Draining::kAgreed) return CloseAfterWrites();
  // A client that does not answer, though nothing is in flight, is not waited for longer.
  if (close_at_ == base::TimePoint{}) {
    close_at_ = Now() + kLinger;
    ArmBy(close_at_);
  } else if (Now() >= close_at_) {
    CloseAfterWrites();
  }
}

void MuxSession::CloseAfterWrites() {
  if (!splitter_.empty()) return;  // OnTurnEnd comes back here
  server_->Free(this);
  if (connection_.unsent() == 0 && connection_.ended()) return Abandon();
  connection_.CloseAfterWrites();
  close_at_ = Now() + kLinger;
  ArmBy(close_at_);
}

void MuxSession::Abandon() {
  if (removed_) return;
  removed_ = true;
  connection_.Close();
  CancelAll();
  server_->metrics().connection_requests->Record(served_);
  server_->mux().open->Add(-1);
  timer_.Cancel();
  server_->Remove(this);
}

void MuxSession::CancelAll() {
  for (uint32_t tag : calls_.All()) {
    Dispatch* dispatch = calls_.Find(tag);
    if (!dispatch) continue;
    dispatch->call->Cancel();
    Finish(tag);
  }
}

// --- times ---

void MuxSession::ArmBy(base::TimePoint at) {
  if (!removed_ && (!timer_.armed() || at < timer_.at())) timer_.ArmAt(at);
}

// Remembers since when the client takes nothing while others wait for its memory.
void MuxSession::Watch() {
  if (removed_) return;
  const base::Duration most = options().body_idle_timeout;
  if (MidMessage() && !connection_.paused()) ArmBy(moved_ + most);
  const bool counts = connection_.unsent() > 0 && (connection_.paused() || server_->tight());
  if (!counts) {
    marked_at_ = {};
    return;
  }
  if (marked_at_ == base::TimePoint{} || connection_.sent() != marked_) {
    marked_ = connection_.sent();
    marked_at_ = Now();
  }
  ArmBy(marked_at_ + most);
}

bool MuxSession::Stalled() {
  const base::Duration most = options().body_idle_timeout;
  Watch();
  if (marked_at_ != base::TimePoint{} && Now() >= marked_at_ + most) {
    server_->CountBadBytes(connection_.peer(), "takes no reply for " + Bound(most));
    return true;
  }
  if (MidMessage() && !connection_.paused() && Now() >= moved_ + most) {
    server_->CountBadBytes(connection_.peer(),
                           "no byte for " + Bound(most) + " in the middle of a message");
    return true;
  }
  return false;
}

void MuxSession::ArmTimer() {
  const Options& o = options();
  if (close_at_ > Now()) ArmBy(close_at_);
  if (connection_.closing()) return;
  const bool draining = draining_ != Draining::kNo;
  if (o.idle_time && !draining) {
    // While calls are in flight it is only looked at again and again.
    const base::Duration idle = calls_.empty() ? base::Duration(*o.idle_time)
                                               : std::max<base::Duration>(*o.idle_time, kLinger);
    ArmBy(last_used_ + idle);
  }
  if (o.life_time && !draining) ArmBy(opened_ + *o.life_time);
  Watch();
}

void MuxSession::OnTimer() {
  const Options& o = options();
  const base::TimePoint now = Now();
  if (removed_) return;
  if (connection_.closed() || (connection_.closing() && now >= close_at_)) return Abandon();
  if (connection_.closing()) return ArmTimer();
  if (Stalled()) return Abandon();
  const bool idle = o.idle_time && calls_.empty() && now >= last_used_ + *o.idle_time;
  const bool old = o.life_time && now >= opened_ + *o.life_time;
  if (idle || old) Drain();
  if (removed_) return;
  if (!calls_.empty()) last_used_ = now;
  CloseIfDone();
  if (!removed_) ArmTimer();
}

}  // namespace trestle::server
