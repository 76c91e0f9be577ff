// How the connection of a ThriftSession ends: half-closed, gone, idle, old, drained, or standing
// still in the middle of a message.
#include <algorithm>
#include <string>
#include <utility>

#include "server/thrift_session.h"

namespace trestle::server {
namespace {

// How long a client has to take the last replies, and to end half a message when draining.
constexpr auto kLinger = std::chrono::seconds(2);

// For times that are looked at again and again while calls are in flight.
base::Duration AtLeast(base::Duration d) { return std::max<base::Duration>(d, kLinger); }

std::string StandsStill(base::Duration d) {
  return "no byte for " + base::ShowMillis(d) + " in the middle of a message (bodyIdleTimeoutMs)";
}

}  // namespace

void ThriftSession::Start(base::Buffer unread) {
  connection_.SetTimeouts(server_->options().read_timeout, server_->options().write_timeout);
  connection_.Start(std::move(unread));
  ArmTimer();
}

void ThriftSession::OnReconfigured() {
  if (removed_) return;
  connection_.SetTimeouts(server_->options().read_timeout, server_->options().write_timeout);
  ArmTimer();
  Settle();
}

void ThriftSession::OnMemory() { Resume(); }

void ThriftSession::OnEnd() {
  if (input_ == Input::kOpen) input_ = Input::kEnded;
  if (!connection_.paused() && CutOff()) Bad("ended in the middle of a message");
  if (removed_) return;
  OnHalfClosed();
  if (!removed_ && !connection_.closing()) CloseIfDone();
}

void ThriftSession::OnHalfClosed() {
  if (half_closed_ == base::TimePoint{}) half_closed_ = Now();
  if (server_->options().on_half_close == Options::OnHalfClose::kCancel) {
    CancelAll();
    return Finish();
  }
  ArmTimer();
}

void ThriftSession::OnGone(const base::Status&) { Abandon(); }

// Messages that are here already are served; no more are read, or a client that always has a call
// in flight would never be done.
void ThriftSession::Drain() {
  draining_ = true;
  if (!calls_.empty() && body_rest_ == 0) connection_.PauseReading();
  CloseIfDone();
}

// Closes the connection when nothing more can come of it.
void ThriftSession::CloseIfDone() {
  if (removed_ || connection_.closing() || !calls_.empty()) return;
  if (input_ == Input::kBad) return Finish();
  const bool some = connection_.unread() > 0 && body_rest_ == 0;
  if (some && !partial_) return;  // calls, when reading goes on
  if (input_ == Input::kEnded) return Finish();
  if (!draining_) return;
  if (!some) return Finish();
  // Half a message has a while to become whole.
  if (close_at_ == base::TimePoint{}) {
    close_at_ = Now() + kLinger;
    ArmBy(close_at_);
  } else if (Now() >= close_at_) {
    Finish();
  }
}

// Writes what is left and goes.
void ThriftSession::Finish() {
  const bool more_comes = !connection_.ended() && (input_ == Input::kBad || body_rest_ > 0);
  const bool nothing_left = connection_.unsent() == 0 && !more_comes;
  if (connection_.closed() || nothing_left) return Abandon();
  if (connection_.closing()) return;
  server_->Free(this);
  connection_.CloseAfterWrites();
  close_at_ = Now() + kLinger;
  ArmBy(close_at_);
}

void ThriftSession::OnClosed() { Abandon(); }

void ThriftSession::Abandon() {
  if (removed_) return;
  removed_ = true;
  connection_.Close();
  CancelAll();
  server_->metrics().connection_requests->Record(served_);
  timer_.Cancel();
  server_->Remove(this);
}

void ThriftSession::CancelAll() {
  body_call_ = replying_ = nullptr;
  while (!calls_.empty()) {
    auto call = calls_.PopFront();
    waiting_bytes_ -= call->waiting_bytes;
    call->Cancel();
    server_->GiveBack(std::move(call));
  }
}

// --- times ---

void ThriftSession::ArmBy(base::TimePoint at) {
  if (!removed_ && (!timer_.armed() || at < timer_.at())) timer_.ArmAt(at);
}

// For the earliest of: half-close, idle and life time, the gaps, and the end of the end.
void ThriftSession::ArmTimer() {
  const Options& o = server_->options();
  if (connection_.closing()) return ArmBy(close_at_);
  if (half_closed_ != base::TimePoint{}) ArmBy(half_closed_ + o.half_close_timeout);
  if (o.idle_time) ArmBy(last_used_ + (calls_.empty() ? *o.idle_time : AtLeast(*o.idle_time)));
  if (o.life_time && !draining_) ArmBy(opened_ + *o.life_time);
  if (close_at_ > Now()) ArmBy(close_at_);
  WatchGaps();
}

void ThriftSession::OnTimer() {
  const Options& o = server_->options();
  const base::TimePoint now = Now();
  const bool half_close_over =
      half_closed_ != base::TimePoint{} && now >= half_closed_ + o.half_close_timeout;
  if (half_close_over || connection_.closed()) return Abandon();
  if (connection_.closing()) return now >= close_at_ ? Abandon() : ArmTimer();
  if (o.idle_time && calls_.empty() && now >= last_used_ + *o.idle_time) return Finish();
  if (!CheckGaps()) return;
  if (o.life_time && now >= opened_ + *o.life_time && !draining_) Drain();
  CloseIfDone();
  if (removed_ || connection_.closing()) return;
  if (!calls_.empty()) last_used_ = now;
  ArmTimer();
}

// The client has begun a message that is not whole, and may send.
bool ThriftSession::Receiving() const {
  return body_rest_ > 0 || (partial_ && (!connection_.paused() || held_back()));
}

// The client is to take bytes that others wait for: the rest of a large reply, or their memory.
bool ThriftSession::Sending() const {
  return connection_.unsent() > 0 && (replying_ || server_->tight());
}

void ThriftSession::WatchGaps() {
  if (removed_ || connection_.closing()) return;
  const base::Duration most = server_->options().body_idle_timeout;
  if (Receiving()) ArmBy(moved_ + most);
  if (!Sending()) return;
  MarkSent();
  ArmBy(marked_at_ + most);
}

// Remembers since when no byte was taken; while memory is short, since when less than a quarter of
// what waited was. While the mark stands, bytes waited all the time.
void ThriftSession::MarkSent() {
  const uint64_t least = server_->tight() ? marked_unsent_ / 4 : 0;
  if (marked_at_ != base::TimePoint{} && connection_.sent() <= marked_ + least) return;
  marked_ = connection_.sent();
  marked_unsent_ = connection_.unsent();
  marked_at_ = Now();
}

// Ends what stands still in the middle of a message; false when that is the connection.
bool ThriftSession::CheckGaps() {
  const base::Duration most = server_->options().body_idle_timeout;
  if (Sending()) {
    MarkSent();
    if (Now() >= marked_at_ + most) {
      server_->CountBadBytes(connection_.peer(), StandsStill(most));
      Abandon();
      return false;
    }
  }
  if (!Receiving() || Now() < moved_ + most) return true;
  if (body_call_ && connection_.paused() && !held_back()) {
    // It is not the client that stands still: the backend takes no more.
    body_call_->TimeOut(
        base::Status(base::Code::kTimeout, "no byte of the request could be handed on for " +
                                               base::ShowMillis(most) + " (bodyIdleTimeoutMs)"));
    return !removed_ && !connection_.closing();
  }
  if (held_back()) {
    // It would send, and we do not read: memory did not come free in time.
    server_->metrics().refused->Add();
    const std::string why = "held back for " + base::ShowMillis(most) + " (maxBufferedBytes)";
    if (body_call_) {
      body_call_->TimeOut(base::Status(base::Code::kRefused, why));
      return !removed_ && !connection_.closing();
    }
    Bad(why);
  } else {
    Bad(StandsStill(most));
  }
  if (removed_) return false;
  connection_.PauseReading();
  server_->Free(this);
  CloseIfDone();
  return !removed_ && !connection_.closing();
}

}  // namespace trestle::server
