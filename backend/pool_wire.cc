// The part of Pool for Wire::kAuto: whether the endpoint speaks mux.
#include <utility>

#include "backend/pool.h"

namespace trestle::backend {

// Outside any call: those that come meanwhile go as they did, or wait if nothing is known.
void Pool::Probe() {
  if (retired_ || probe_ || !wire_.Due(loop_->Now())) return;
  wire_.OnAsking();
  MuxProbe::Owner* self = this;
  probe_ = std::make_unique<MuxProbe>(loop_, options_, connector_, to_, self);
  probe_->Start();
}

void Pool::GiveUpProbe() {
  if (!probe_) return;
  probe_->GiveUp();
  loop_->DeleteLater(std::move(probe_));
}

void Pool::OnProbed(MuxProbe::Outcome outcome, const base::Status& why) {
  loop_->DeleteLater(std::move(probe_));
  metrics_->Mux()->probes->Add();
  if (outcome == MuxProbe::Outcome::kNotReached) {
    wire_.OnNotReached(loop_->Now());
    // Who waits for it goes elsewhere.
    if (wire() == Wire::kAuto) OnOpenFailed(why);
    return;
  }
  metrics_->connects->Add();
  metrics_->closes->Add();
  const Wire now = outcome == MuxProbe::Outcome::kMux ? Wire::kMux : Wire::kThrift;
  if (now == Wire::kThrift && wire_.wire() != now) metrics_->Mux()->downgrades->Add();
  if (wire_.OnOutcome(now, loop_->Now())) Anew();
  OpenForWaiters();
  Warm();
}

void Pool::Anew() {
  ++generation_;
  GiveUpOpenings();
  CloseAllIdle();
  for (Session* s : sessions_) lendable_.Remove(s);
  kept_ = nullptr;
}

}  // namespace trestle::backend
