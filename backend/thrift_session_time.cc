// The part of ThriftSession that bounds how long things take. One timer for all: it is not moved
// when a reply comes, but looks what is due when it rings.
#include <algorithm>
#include <utility>
#include <vector>

#include "backend/thrift_session.h"

namespace trestle::backend {

void ThriftSession::OnTimer() {
  if (dead_) return;
  if (Sending() || downloading_) {
    CheckBody();
  } else if (options_.attempt_timeout) {
    CheckAttempts();
  }
  if (!dead_) ArmTimer();
}

void ThriftSession::ArmTimer() {
  auto at = NextTime();
  if (at && (!timer_.armed() || *at < timer_.at())) timer_.ArmAt(*at);
}

std::optional<base::TimePoint> ThriftSession::NextTime() {
  std::optional<base::TimePoint> at;
  if (AwaitsTurn()) at = begun_ + options_.body_idle_timeout;
  // While we do not read, the backend's silence is ours.
  if (Sending() || (downloading_ && !connection_.paused())) {
    const base::TimePoint still = moved_ + options_.body_idle_timeout;
    at = at ? std::min(*at, still) : still;
  }
  if (at) return at;
  if (downloading_ || !options_.attempt_timeout) return std::nullopt;
  for (Entry* e = in_flight_.oldest(); e; e = in_flight_.Next(e)) {
    if (e->call) return e->since + *options_.attempt_timeout;
  }
  return std::nullopt;
}

base::Status ThriftSession::AttemptOver(const char* what) const {
  return base::Status(base::Code::kTimeout, what + Where() + " within " +
                                                base::ShowMillis(*options_.attempt_timeout) +
                                                " (requestAttemptTimeoutMs)");
}

// Calls stand in the order of their sending, so those whose time is over come first.
void ThriftSession::CheckAttempts() {
  const base::TimePoint since = loop_->Now() - *options_.attempt_timeout;
  std::vector<int32_t> late;  // not the calls: an ended one may be another soon
  for (Entry* e = in_flight_.oldest(); e && e->since <= since; e = in_flight_.Next(e)) {
    if (!e->call) continue;
    // The bytes of what cannot be written cannot be taken back either.
    if (connection_.sent() < e->end) {
      return Lose(call::Step::kReply, AttemptOver("could not write all to "));
    }
    late.push_back(e->seqid);
  }
  if (late.empty()) return;
  const base::Status why = AttemptOver("no reply from ");
  if (late.size() == in_flight_.live()) return Lose(call::Step::kReply, why);
  for (int32_t seqid : late) {
    Entry* e = in_flight_.Find(seqid);
    if (!e || !e->call) continue;  // gone with the end of another
    call::Call* call = e->call;
    Release(call);
    in_flight_.LetGo(e);
    owner_->OnLost(call, call::Step::kReply, why, true, true);
  }
  if (!dead_ && Deserted()) Die();
}

// While output waits, only some of its progress is told.
void ThriftSession::NoteSent() {
  if (connection_.sent() != std::exchange(moved_sent_, connection_.sent())) moved_ = loop_->Now();
}

void ThriftSession::CheckBody() {
  const base::TimePoint now = loop_->Now();
  if (connection_.paused() && !Sending()) moved_ = now;
  NoteSent();
  const bool waited = AwaitsTurn() && now - begun_ >= options_.body_idle_timeout;
  if (!waited && now - moved_ < options_.body_idle_timeout) return;
  const std::string bound =
      " for " + base::ShowMillis(options_.body_idle_timeout) + " (bodyIdleTimeoutMs)";
  if (waited) {
    return FailAll(
        base::Status(base::Code::kTimeout, "its reply waited for those before it" + bound));
  }
  if (downloading_) {
    return Lose(call::Step::kReply,
                base::Status(base::Code::kTimeout, Where() + " stopped in mid-reply" + bound));
  }
  if (connection_.unsent() > 0) {
    return Lose(call::Step::kReply, base::Status(base::Code::kTimeout,
                                                 Where() + " took no more of the request" + bound));
  }
  FailAll(
      base::Status(base::Code::kTimeout, "no more of the request came from its client" + bound));
}

}  // namespace trestle::backend
