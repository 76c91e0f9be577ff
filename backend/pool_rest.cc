// The part of Pool for connections that carry nothing, are too old, or would rather rest.
#include <algorithm>
#include <optional>
#include <vector>

#include "backend/pool.h"

namespace trestle::backend {
namespace {

// The shorter of the pool's and the session's own idle time.
std::optional<base::Duration> IdleTime(const Options& options) {
  if (!options.pool.idle_time) return options.session_idle_time;
  if (!options.session_idle_time) return options.pool.idle_time;
  return std::min(*options.pool.idle_time, *options.session_idle_time);
}

}  // namespace

void Pool::CountBytes(Session* session) {
  metrics_->sent_bytes->Add(session->sent_bytes() - session->counted_sent);
  metrics_->received_bytes->Add(session->received_bytes() - session->counted_received);
  session->counted_sent = session->sent_bytes();
  session->counted_received = session->received_bytes();
}

bool Pool::TooOld(const Session& session) const {
  return options_.session_life_time &&
         loop_->Now() - session.opened() > *options_.session_life_time;
}

bool Pool::Fit(const Session& session) const {
  return session.generation == generation_ && !TooOld(session);
}

bool Pool::Spare(const Session& session) const {
  return retired_ || !Fit(session) || standing() > options_.pool.max_size ||
         (options_.pool.idle_time == base::Duration(0) && standing() > options_.pool.min_size);
}

void Pool::CloseAllIdle() {
  while (!lendable_.idle().empty()) lendable_.idle().back()->Close();  // nothing moves up
}

// For the sooner of: the idle time of the one idle for longest, the life time of this one.
void Pool::ArmIdle(const Session& session) {
  std::optional<base::TimePoint> at;
  auto time = IdleTime(options_);
  if (time && standing() > options_.pool.min_size) {
    at = lendable_.idle().front()->idle_since() + *time;
  }
  if (options_.session_life_time) {
    // TooOld is past its time, not at it.
    auto end = session.opened() + *options_.session_life_time + std::chrono::milliseconds(1);
    at = at ? std::min(*at, end) : end;
  }
  if (at && (!idle_timer_.armed() || *at < idle_timer_.at())) idle_timer_.ArmAt(*at);
}

void Pool::CloseIdle() {
  auto time = IdleTime(options_);
  const std::vector<Session*> idle = lendable_.idle();  // closing takes out of it
  for (Session* session : idle) {
    if (session->busy() || session->shelf != Session::Shelf::kIdle) continue;
    bool over = time && standing() > options_.pool.min_size &&
                session->idle_since() + *time <= loop_->Now();
    if (over || TooOld(*session)) session->Close();
  }
  for (Session* session : lendable_.idle()) ArmIdle(*session);
}

// Without connections nothing is known of leases.
void Pool::RecountLeases() {
  base::TimePoint last{};
  for (const Session* s : sessions_) last = std::max(last, s->lease_end());
  lease_end_ = sessions_.empty() ? base::TimePoint::max() : last;
}

}  // namespace trestle::backend
