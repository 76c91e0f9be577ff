// The part of MuxSession that bounds how long things take. One timer for all: it is not moved when
// a reply comes, but looks what is due when it rings.
#include <algorithm>
#include <utility>
#include <vector>

#include "backend/mux_session.h"

namespace trestle::backend {

void MuxSession::ArmBy(base::TimePoint at) {
  if (!dead_ && (!timer_.armed() || at < timer_.at())) timer_.ArmAt(at);
}

void MuxSession::OnTimer() {
  CheckStall();
  CheckPing();
  CheckAttempts();
  CheckOneways();
  CheckBodies();
  ArmNext();
  if (!dead_) loop_->AtTurnEnd(this);
}

void MuxSession::ArmNext() {
  if (dead_) return;
  if (stalling_) ArmBy(stalled_ + options_.body_idle_timeout);
  if (pinging_) {
    ArmBy(ping_due_);
  } else if (options_.ping_interval > base::Duration(0)) {
    ArmBy(pinged_ + options_.ping_interval);
  }
  if (options_.attempt_timeout && calls_.waiting()) {
    ArmBy(calls_.waiting()->since + *options_.attempt_timeout);
  }
  if (calls_.oneways()) ArmBy(calls_.oneways()->since + OnewayTime());
  for (const auto& c : collecting_) ArmBy(c->moved() + options_.body_idle_timeout);
}

// --- output that the backend does not take ---

void MuxSession::WatchStall() {
  if (std::exchange(stalling_, true)) return;
  stalled_ = loop_->Now();
  stalled_at_ = connection_.sent();
  ArmBy(stalled_ + options_.body_idle_timeout);
}

void MuxSession::CheckStall() {
  if (dead_ || !stalling_) return;
  if (connection_.unsent() == 0) {
    stalling_ = false;
    return;
  }
  if (stalled_at_ != connection_.sent()) {
    stalled_at_ = connection_.sent();
    stalled_ = loop_->Now();
  }
  if (loop_->Now() - stalled_ < options_.body_idle_timeout) return;
  Lose(call::Step::kReply,
       base::Status(base::Code::kTimeout, Where() + " took no bytes for " +
                                              base::ShowMillis(options_.body_idle_timeout) +
                                              " (bodyIdleTimeoutMs)"));
}

// --- pings ---

void MuxSession::CheckPing() {
  if (dead_) return;
  const base::TimePoint now = loop_->Now();
  if (!pinging_) {
    if (options_.ping_interval > base::Duration(0) && now - pinged_ >= options_.ping_interval) {
      Ping();
    }
    return;
  }
  if (now < ping_due_) return;
  // It has not left yet; or its answer stands behind a message that is coming in.
  const bool left = connection_.sent() >= ping_end_;
  const bool comes = ping_received_ != connection_.received() && frames_.missing() > 0;
  if (!left || comes || connection_.transport()->Readable()) {
    ping_received_ = connection_.received();
    ping_due_ = now + options_.ping_timeout;
    return;
  }
  metrics_.ping_timeouts->Add();
  Lose(call::Step::kReply,
       base::Status(base::Code::kTimeout, Where() + " did not answer a ping within " +
                                              base::ShowMillis(options_.ping_timeout)));
}

// --- calls ---

// Calls stand in the order of their sending, so those whose time is over come first.
void MuxSession::CheckAttempts() {
  if (dead_ || !options_.attempt_timeout) return;
  const base::TimePoint since = loop_->Now() - *options_.attempt_timeout;
  std::vector<uint32_t> late;  // not the calls: an ended one may be another soon
  for (Entry* e = calls_.waiting(); e && e->since <= since; e = e->next) late.push_back(e->tag);
  if (late.empty()) return;
  const base::Status why(base::Code::kTimeout, "no reply from " + Where() + " within " +
                                                   base::ShowMillis(*options_.attempt_timeout) +
                                                   " (requestAttemptTimeoutMs)");
  for (uint32_t tag : late) {
    Entry* e = dead_ ? nullptr : calls_.Find(tag);
    if (!e || !e->call || e->since > since) continue;  // gone with the end of another
    call::Call* call = e->call;
    // What is with the connection cannot be taken back from it.
    const bool left = e->begin != kNever;
    Abandon(e, "it ran out of time");
    OnCallOver();
    owner_->OnLost(call, call::Step::kReply, why, left, true);
  }
}

base::Duration MuxSession::OnewayTime() const {
  return options_.attempt_timeout.value_or(options_.body_idle_timeout);
}

// One that is not answered is of interest no more; the backend is not told to stop.
void MuxSession::CheckOneways() {
  if (dead_) return;
  while (Entry* e = calls_.oneways()) {
    if (loop_->Now() - e->since < OnewayTime()) return;
    calls_.Abandon(e, State::kAbandoned);
    OnCallOver();
    if (dead_) return;
  }
}

void MuxSession::CheckBodies() {
  if (dead_) return;
  std::vector<Collecting*> still;
  for (const auto& c : collecting_) {
    if (loop_->Now() - c->moved() >= options_.body_idle_timeout) still.push_back(c.get());
  }
  for (Collecting* c : still) {
    const bool here = std::any_of(collecting_.begin(), collecting_.end(),
                                  [c](const auto& one) { return one.get() == c; });
    if (!here) continue;  // gone with the end of another; destroyed at the end of the turn
    call::Call* call = TakeBack(c);
    owner_->OnLetGo(false);
    OnCallOver();
    call->Fail(
        call::Step::kDispatch,
        base::Status(base::Code::kTimeout, "no more of the request came from its client for " +
                                               base::ShowMillis(options_.body_idle_timeout) +
                                               " (bodyIdleTimeoutMs)"));
    if (dead_) return;
  }
}

}  // namespace trestle::backend
