// The part of Pool for Wire::kAuto: whether the endpoint speaks mux.
#include <utility>

#include "backend/pool.h"

namespace trestle::backend {
namespace {

// While another worker asks.
constexpr base::Duration kAskAgain = std::chrono::milliseconds(20);

}  // namespace

// Outside any call: those that come meanwhile go as they did, or wait if nothing is known.
void Pool::Probe() {
  if (retired_ || probe_ || !wire_.Due(loop_->Now())) return;
  wire_.OnAsking();
  if (options_.probes) return ask_.Arm({});
  StartProbe();
}

void Pool::AskTable() {
  if (retired_ || probe_ || !options_.probes) return;
  ProbeTable::Answer answer = options_.probes->Ask(to_, loop_->Now());
  if (answer.known) return OnWire(*answer.known, answer.until);
  if (!answer.turn) return ask_.Arm(kAskAgain);
  turn_ = std::move(answer.turn);
  StartProbe();
}

void Pool::StartProbe() {
  MuxProbe::Owner* self = this;
  probe_ = std::make_unique<MuxProbe>(loop_, options_, connector_, to_, self);
  probe_->Start();
}

void Pool::GiveUpProbe() {
  turn_.reset();
  if (!probe_) return;
  probe_->GiveUp();
  loop_->DeleteLater(std::move(probe_));
}

void Pool::OnProbed(MuxProbe::Outcome outcome, const base::Status& why) {
  loop_->DeleteLater(std::move(probe_));
  const auto turn = std::move(turn_);
  metrics_->Mux()->probes->Add();
  if (outcome != MuxProbe::Outcome::kNotReached) {
    metrics_->connects->Add();
    metrics_->closes->Add();
  }
  // One that is known to speak mux and only says nothing may be paused.
  const bool silent = wire() == Wire::kMux && why.code() == base::Code::kTimeout;
  if (outcome == MuxProbe::Outcome::kNotReached || silent) {
    wire_.OnNotReached(loop_->Now());
    // Who waits for it goes elsewhere.
    if (wire() == Wire::kAuto) OnOpenFailed(why);
    return;
  }
  const Wire now = outcome == MuxProbe::Outcome::kMux ? Wire::kMux : Wire::kThrift;
  if (turn) turn->Tell(now, loop_->Now());
  OnWire(now, loop_->Now() + ProbeTable::kHoldsFor);
}

void Pool::OnWire(Wire now, base::TimePoint until) {
  if (now == Wire::kThrift && wire_.wire() != now) metrics_->Mux()->downgrades->Add();
  if (wire_.OnOutcome(now, until)) Anew();
  OpenForWaiters();
  Warm();
}

void Pool::Doubt() {
  wire_.Doubt();
  if (options_.probes) options_.probes->Forget(to_);
}

void Pool::Anew() {
  ++generation_;
  GiveUpOpenings();
  CloseAllIdle();
  for (Session* s : sessions_) lendable_.Remove(s);
  kept_ = nullptr;
}

}  // namespace trestle::backend
