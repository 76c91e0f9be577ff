#include "backend/mux_session.h"

#include <algorithm>
#include <utility>

#include "backend/mux_request.h"

namespace trestle::backend {
namespace {

using mux::Type;

// So much is given to the connection of what goes in pieces; others may go between.
constexpr size_t kPumpBytes = 256 * 1024;
// So many tags may be abandoned, if the calls in flight are not more.
constexpr size_t kFewAbandoned = 1000;
constexpr size_t kMostCalls = mux::kMaxTag - mux::kFirstTag;
// What stands around the message in a reply.
constexpr uint32_t kAround = mux::kMaxHeaderBytes + 64;

mux::Joiner::Bounds BoundsOf(const Options& options) {
  mux::Joiner::Bounds bounds;
  bounds.message_bytes = uint64_t{options.max_frame_bytes} + kAround;
  bounds.all_bytes = std::max<uint64_t>(options.max_buffered_bytes, 2 * bounds.message_bytes);
  bounds.messages = mux::kMaxTag;  // one for each call at most
  return bounds;
}

uint32_t FrameBytes(const Options& options) {
  return static_cast<uint32_t>(
      std::min<uint64_t>(uint64_t{options.max_frame_bytes} + kAround, INT32_MAX));
}

}  // namespace

MuxSession::MuxSession(net::EventLoop* loop, const Options& options, SessionOwner* owner,
                       Opened opened, const Spoken& spoken, const MuxMetrics& metrics)
    : Session(loop->Now()),
      loop_(loop),
      options_(options),
      owner_(owner),
      spoken_(spoken),
      terms_(opened.mux),
      metrics_(metrics),
      places_(std::clamp<size_t>(spoken.max_in_flight, 1, kMostCalls)),
      unread_(std::move(opened.unread)),
      connection_(loop, std::move(opened.transport), this),
      frames_(FrameBytes(options)),
      joiner_(BoundsOf(options)),
      calls_(this, &metrics_),
      timer_(loop, [this] { OnTimer(); }),
      pump_(loop, [this] { Pump(); }) {
  splitter_.set_piece(terms_.framer);
  metrics_.sessions->Add(1);
}

MuxSession::~MuxSession() {
  if (!std::exchange(dead_, true)) metrics_.sessions->Add(-1);
  const base::Status why(base::Code::kInternal, "shutting down");
  while (!collecting_.empty()) {
    TakeBack(collecting_.back().get())->Fail(call::Step::kDispatch, why);
  }
  while (Entry* e = calls_.waiting()) {
    call::Call* call = e->call;
    calls_.Remove(e);
    call->Fail(call->step, why);
  }
}

void MuxSession::Start() {
  connection_.SetTimeouts(options_.read_timeout, options_.write_timeout);
  connection_.Start(std::move(unread_));
  if (options_.ping_interval > base::Duration(0)) Ping();
}

// --- requests ---

void MuxSession::Send(call::Call* call) {
  call->step = call::Step::kDispatch;
  if (call->request_body.whole()) return Dispatch(call);
  Collecting::Owner* self = this;
  collecting_.push_back(std::make_unique<Collecting>(loop_, call, self));
  loop_->AtTurnEnd(this);
  ArmBy(loop_->Now() + options_.body_idle_timeout);
}

void MuxSession::Dispatch(call::Call* call) {
  const base::TimePoint now = loop_->Now();
  Entry* e = calls_.Add(call, now);
  e->old = old_;
  call::Onward onward;
  onward.form = call::HeaderForm::kMux;
  onward.now = loop_->clock()->Wall();
  onward.attempt_time = options_.attempt_timeout;
  base::Buffer message =
      MakeMuxRequest(call, onward, {e->tag, old_, spoken_.strip_service_name}, loop_->arena());
  if (old_ || splitter_.Whole(message.size() - mux::kHeadBytes)) {
    e->begin = connection_.queued();
    connection_.Write(std::move(message));
    e->end = connection_.queued();
    queued_.push_back({e->end, e->tag});
  } else {
    message.TrimFront(mux::kHeadBytes);
    splitter_.Add(Type::kTdispatch, e->tag, std::move(message));
    if (!pump_.armed()) Pump();
  }
  loop_->AtTurnEnd(this);  // after the connection's own, which writes
  calls_.CompactOld(now);
  if (options_.attempt_timeout) ArmBy(now + *options_.attempt_timeout);
}

void MuxSession::Pump() {
  if (dead_ || splitter_.empty()) return;
  const uint64_t before = splitter_.fragments();
  while (!splitter_.empty() && connection_.unsent() < kPumpBytes) WritePiece();
  metrics_.fragments_sent->Add(splitter_.fragments() - before);
  loop_->AtTurnEnd(this);
}

void MuxSession::WritePiece() {
  base::Buffer piece = splitter_.Next(loop_->arena());
  uint32_t tag = 0;
  for (size_t i = 5; i < mux::kHeadBytes; i++) {
    tag = tag << 8 | static_cast<unsigned char>(piece.Front(mux::kHeadBytes)[i]);
  }
  Entry* e = calls_.Find(tag & mux::kMaxTag);
  if (e->begin == kNever) e->begin = connection_.queued();
  connection_.Write(std::move(piece));
  if (tag & mux::kMoreBit) return;
  e->end = connection_.queued();
  queued_.push_back({e->end, e->tag});
}

void MuxSession::OnFlushed() {
  stalling_ = false;
  control_ = 0;
  Pump();
  OnTurnEnd();
}

// What was sent in this turn was written, as far as the system took it.
void MuxSession::OnTurnEnd() {
  // Our turn may have come before that of the connection, which writes.
  if (!dead_ && connection_.unsent() > 0 && !std::exchange(again_, true)) {
    return loop_->AtTurnEnd(this);
  }
  again_ = false;
  if (!dead_) AskForBodies();
  if (!dead_) NoteWritten();
  if (dead_) return;
  SendRdrain();
  if (dead_) return;
  if (connection_.unsent() > 0) {
    WatchStall();
  } else if (!splitter_.empty() && !pump_.armed()) {
    pump_.ArmAt(loop_->Now());  // others have their turn before
  }
  if (std::exchange(settle_, false) && !leaving_) owner_->OnRoom(this);
  DieIfDone();
}

void MuxSession::NoteWritten() {
  while (!queued_.empty() && connection_.sent() >= queued_.front().end) {
    const Queued q = queued_.front();
    queued_.pop_front();
    Entry* e = calls_.Find(q.tag);
    if (e && e->end == q.end && e->call) Written(e);
    if (dead_) return;
  }
}

void MuxSession::Written(Entry* entry) {
  call::Call* call = entry->call;
  call->step = call::Step::kReply;
  if (!entry->oneway) return;
  calls_.ToOneway(entry);
  ArmBy(entry->since + OnewayTime());
  owner_->OnSuccess();
  OnCallOver();
  call->OnewayDone();
}

// --- requests that are not whole ---

void MuxSession::AskForBodies() {
  for (size_t i = 0; i < collecting_.size();) {
    Collecting* c = collecting_[i].get();
    if (!c->asked()) c->Ask();
    if (dead_) return;
    if (i < collecting_.size() && collecting_[i].get() == c) i++;
  }
}

call::Call* MuxSession::TakeBack(Collecting* collecting) {
  auto it = std::find_if(collecting_.begin(), collecting_.end(),
                         [collecting](const auto& c) { return c.get() == collecting; });
  loop_->DeleteLater(std::move(*it));
  collecting_.erase(it);
  return collecting->GiveBack();
}

void MuxSession::OnMore(Collecting* collecting) {
  if (collecting->whole()) return Dispatch(TakeBack(collecting));
  if (!Overfull()) return;
  call::Call* call = TakeBack(collecting);
  owner_->OnLetGo(false);
  OnCallOver();
  call->Fail(call::Step::kDispatch,
             base::Status(base::Code::kRefused,
                          "over maxBufferedBytes with a request that has to be held until whole"));
}

void MuxSession::OnCollectingCancelled(Collecting* collecting, call::Call* call) {
  std::erase_if(collecting_, [&](auto& c) {
    if (c.get() != collecting) return false;
    loop_->DeleteLater(std::move(c));
    return true;
  });
  owner_->OnLetGo(call->backend_was_slow());
  if (dead_) return;
  if (!busy()) set_idle_since(loop_->Now());
  settle_ = true;
  loop_->AtTurnEnd(this);
}

// --- the ends of calls ---

void MuxSession::OnCallOver() {
  if (!busy()) set_idle_since(loop_->Now());
  if (dead_) return;
  if (!leaving_) {
    owner_->OnRoom(this);
  } else {
    loop_->AtTurnEnd(this);
  }
}

// A backend may answer before it has all of the message; the rest would be read under a tag that is
// another's then.
void MuxSession::Free(Entry* entry) {
  DropPieces(entry->tag);
  if (entry->end == kNever) return Cut(entry, "answered");
  calls_.Remove(entry);
}

void MuxSession::Abandon(Entry* entry, std::string_view why) {
  DropPieces(entry->tag);
  if (entry->end == kNever) return Cut(entry, why);
  Discard(entry->tag, why);
  calls_.Abandon(entry, State::kAbandoned);
  if (calls_.abandoned() > std::max(kFewAbandoned, calls_.live())) Leave();
}

void MuxSession::Cut(Entry* entry, std::string_view why) {
  bool begun = false;
  splitter_.Drop(entry->tag, &begun);
  if (!begun) return calls_.Remove(entry);
  Discard(entry->tag, why);
  entry->ping = ping_ + 1;
  cut_.push_back(entry->tag);
  calls_.Abandon(entry, State::kCut);
  if (calls_.abandoned() > std::max(kFewAbandoned, calls_.live())) Leave();
}

void MuxSession::OnCancel(Entry* entry) {
  const bool late = entry->call->out_of_time, slow = entry->call->backend_was_slow();
  calls_.Release(entry);
  owner_->OnLetGo(slow);
  if (dead_) return calls_.Remove(entry);
  Abandon(entry, late ? "it ran out of time" : "its caller is gone");
  if (!busy()) set_idle_since(loop_->Now());
  settle_ = true;
  loop_->AtTurnEnd(this);
}

void MuxSession::Refuse(Entry* entry, const base::Status& why) {
  call::Call* call = entry->call;
  Abandon(entry, "refused");
  owner_->OnLetGo(false);
  OnCallOver();
  call->Fail(call::Step::kReply, why);
}

// The session goes on: where the next message begins is known.
void MuxSession::LoseOne(call::Call* call, const std::string& why) {
  OnCallOver();
  owner_->OnLost(call, call::Step::kReply,
                 base::Status(base::Code::kMalformed, "bad reply from " + Where() + ": " + why),
                 true, true);
}

void MuxSession::LoseBad(const std::string& why) {
  Lose(call::Step::kReply,
       base::Status(base::Code::kMalformed, "bad message from " + Where() + ": " + why));
}

void MuxSession::OnEnd() {
  Lose(call::Step::kReply, base::Status(base::Code::kClosed,
                                        Where() + (connection_.unread() > 0 || !joiner_.empty()
                                                       ? " closed the connection in mid-reply"
                                                       : " closed the connection before a reply")));
}

// The connection is of no more use; the calls it has are lost here.
void MuxSession::Lose(call::Step step, const base::Status& why) {
  if (dead_) return;
  const uint64_t sent = connection_.sent();
  Die();
  bool counted = false;
  while (Entry* e = calls_.waiting()) {
    call::Call* call = e->call;
    const bool left = sent > e->begin;
    calls_.Remove(e);
    const bool counts = left && !counted;
    counted |= left;
    owner_->OnLost(call, left ? step : call::Step::kDispatch, why, left, counts);
  }
  while (!collecting_.empty()) {
    call::Call* call = TakeBack(collecting_.back().get());
    owner_->OnLost(call, call::Step::kDispatch, why, false, false);
  }
}

void MuxSession::Leave() {
  if (std::exchange(leaving_, true)) return;
  loop_->AtTurnEnd(this);
  owner_->OnLeaving(this);
}

// What was said last is to be written still. When nothing but abandoned tags is left of its places,
// it is of no use either.
void MuxSession::DieIfDone() {
  if (dead_ || busy()) return;
  if (!leaving_ && load() >= places_) Leave();
  if (leaving_ && !dead_ && !rdrain_ && connection_.unsent() == 0) Die();
}

void MuxSession::Die() {
  if (std::exchange(dead_, true)) return;
  timer_.Cancel();
  pump_.Cancel();
  connection_.Close();
  metrics_.sessions->Add(-1);
  owner_->OnDead(this);
}

}  // namespace trestle::backend
