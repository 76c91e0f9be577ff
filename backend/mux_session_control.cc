// The part of MuxSession for the messages that are of no single call, and for the ends of calls
// that are no replies.
#include <utility>

#include "backend/mux_session.h"
#include "backend/peer_text.h"

namespace trestle::backend {
namespace {

using mux::Type;
using std::chrono::duration_cast;
using std::chrono::microseconds;

// So much may wait of answers to a backend that does not read.
constexpr uint64_t kMostControl = 64 * 1024;

}  // namespace

void MuxSession::Control(Type type, uint32_t tag, std::string_view body) {
  if (connection_.unsent() == 0) control_ = 0;
  base::Buffer message = base::Buffer::Copy(mux::ShowMessage(type, tag, body));
  control_ += message.size();
  if (control_ > kMostControl) {
    return Lose(call::Step::kReply,
                base::Status(base::Code::kClosed, Where() + " asks much and reads nothing"));
  }
  connection_.Write(std::move(message));
  loop_->AtTurnEnd(this);
}

void MuxSession::Discard(uint32_t tag, std::string_view why) {
  metrics_.discards->Add();
  std::string body;
  mux::EncodeDiscarded({tag, why}, &body);
  connection_.Write(
      base::Buffer::Copy(mux::ShowMessage(Type::kOldTdiscarded, mux::kMarkerTag, body)));
  loop_->AtTurnEnd(this);
}

// --- the backend cannot read a message, or has stopped work on it ---

// A server from before Tdispatch says so to the first one.
void MuxSession::OnRerr(const mux::Frame& frame) {
  metrics_.rerrs->Add();
  if (frame.tag == mux::kControlTag) return OnPong();  // it knows no Tping, but is there
  Entry* e = calls_.Find(frame.tag);
  if (!e) return;
  if (connection_.sent() <= e->begin) return LoseBad("an Rerr before the call was written");
  const bool turn = !e->old && !known_ && !terms_.negotiated;
  if (!e->call) {
    if (turn && e->state == State::kOneway && !std::exchange(old_, true)) {
      metrics_.old_servers->Add();  // that oneway is lost; the next ones are not
    }
    return OnTagFree(e);
  }
  call::Call* call = e->call;
  Free(e);
  if (turn) {
    if (!std::exchange(old_, true)) metrics_.old_servers->Add();
    return Dispatch(call);
  }
  owner_->OnLetGo(false);
  OnCallOver();
  call->Fail(call::Step::kReply,
             base::Status(base::Code::kMalformed,
                          Where() + " could not handle the message: " + PeerText(frame.body)));
}

void MuxSession::OnRdiscarded(uint32_t tag) {
  Entry* e = calls_.Find(tag);
  if (!e || connection_.sent() <= e->begin) return;
  if (!e->call) return OnTagFree(e);
  call::Call* call = e->call;
  Free(e);
  OnCallOver();
  owner_->OnLost(call, call::Step::kReply,
                 base::Status(base::Code::kUnavailable, Where() + " discarded the call"), true,
                 true);
}

// --- the backend goes, or would rest ---

void MuxSession::OnTdrain(uint32_t tag) {
  metrics_.drains->Add();
  rdrain_ = tag;
  Leave();
  ReturnUnsent();
  if (!dead_) loop_->AtTurnEnd(this);
}

// Behind all that was begun: what comes after it is nacked.
void MuxSession::SendRdrain() {
  if (!rdrain_ || !splitter_.empty()) return;
  const uint32_t tag = *std::exchange(rdrain_, std::nullopt);
  Control(Type::kRdrain, tag);
}

// What has not begun to leave goes on another connection.
void MuxSession::ReturnUnsent() {
  while (!collecting_.empty()) owner_->OnReturned(TakeBack(collecting_.back().get()));
  for (Entry* e = calls_.waiting(); e && !dead_;) {
    if (e->begin != kNever) {
      e = e->next;
      continue;
    }
    call::Call* call = e->call;
    Cut(e, {});
    owner_->OnReturned(call);
    e = calls_.waiting();  // whatever else has ended by that
  }
}

void MuxSession::OnTlease(base::Buffer body) {
  std::optional<base::Duration> howmuch;
  const std::string bytes = body.ToString();
  if (mux::DecodeLease(bytes, &howmuch).outcome != mux::Outcome::kOk) {
    return LoseBad("a Tlease that cannot be read");
  }
  if (!howmuch) return;  // in units that nobody knows
  metrics_.leases->Add();
  set_lease_end(loop_->Now() + *howmuch);
  owner_->OnLease(this);
}

// --- is it there? ---

void MuxSession::Ping() {
  metrics_.pings->Add();
  connection_.Write(base::Buffer::Copy(mux::ShowMessage(Type::kTping, mux::kControlTag)));
  loop_->AtTurnEnd(this);
  pinging_ = true;
  ++ping_;
  ping_end_ = connection_.queued();
  ping_received_ = connection_.received();
  pinged_ = loop_->Now();
  ping_due_ = pinged_ + options_.ping_timeout;
  ArmBy(ping_due_);
}

void MuxSession::OnPong() {
  if (!std::exchange(pinging_, false)) return;
  const auto took = duration_cast<microseconds>(loop_->Now() - pinged_);
  metrics_.ping_latency->Record(static_cast<uint64_t>(took.count()));
  ArmBy(pinged_ + options_.ping_interval);
  // Had there been answers to what was cut short before it, they would have come.
  std::vector<uint32_t> later;
  for (uint32_t tag : std::exchange(cut_, {})) {
    Entry* e = calls_.Find(tag);
    if (!e || e->state != State::kCut) continue;
    if (e->ping > ping_) {
      later.push_back(tag);
    } else {
      OnTagFree(e);
    }
  }
  cut_.insert(cut_.end(), later.begin(), later.end());
}

}  // namespace trestle::backend
