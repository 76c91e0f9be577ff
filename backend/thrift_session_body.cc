// The part of ThriftSession for messages that are not held whole.
#include <algorithm>
#include <utility>

#include "backend/thrift_session.h"

namespace trestle::backend {
namespace {

// So much of a request waits to be written before its source is told to wait.
constexpr size_t kBodyRoom = 256 * 1024;

}  // namespace

// --- a request ---

// Of a large request nothing is asked for before its first byte left: until then it can be sent
// elsewhere.
void ThriftSession::AskForBody() {
  Entry* e = in_flight_.oldest();
  call::Call* call = e ? e->call : nullptr;
  if (!call || connection_.sent() <= e->begin) return;
  NoteSent();
  if (!call->request_body.sink) {
    call->request_body.sink = this;
    call->request.Clear();
  }
  if (!body_waits_ || connection_.unsent() >= kBodyRoom) return;
  body_waits_ = false;
  call->request_body.source->OnBodyRoom(call);
}

bool ThriftSession::OnBody(call::Call* call, base::Buffer bytes) {
  if (dead_ || !uploading_) return false;
  Entry* e = in_flight_.Of(call);
  if (!e) return false;
  if (const char* why = request_check_ ? request_check_->Feed(bytes) : nullptr) {
    FailAll(Refused::Why(why));
    return false;
  }
  moved_ = loop_->Now();
  connection_.Write(std::move(bytes));
  e->end = connection_.queued();
  loop_->AtTurnEnd(this);
  if (call->request_body.whole()) {
    call->request_body.sink = nullptr;
    uploading_ = body_waits_ = false;
    request_check_.reset();
    return true;
  }
  body_waits_ = connection_.unsent() >= kBodyRoom;
  return !body_waits_;
}

// --- a reply ---

// Whether the next reply may go on before it is whole: no other call may wait behind it.
bool ThriftSession::MayHoldLess() {
  return in_flight_.size() == 1 && in_flight_.live() == 1 && !in_flight_.oldest()->oneway;
}

bool ThriftSession::BeginReply(Entry* entry, Reply* reply) {
  alone_ = reply_room_ = true;
  downloading_ = entry->call;
  begun_ = moved_ = loop_->Now();
  ArmTimer();
  downloading_->BeginReply(std::move(reply->frame), reply->kind, reply->rest, this);
  return !dead_;
}

void ThriftSession::OnBodyRoom(call::Call* call) {
  if (dead_ || call != downloading_) return;
  reply_room_ = true;
  moved_ = loop_->Now();
  ArmTimer();
  connection_.ResumeReading();
}

// Gives the sink what is here; false when it is not to be read on now.
bool ThriftSession::HandOn(base::Buffer* in) {
  if (in->empty()) return false;
  call::Call* call = downloading_;
  call::Body* body = &call->reply_body;
  if (!body->sink || !reply_room_) {
    connection_.PauseReading();
    ArmTimer();
    return false;
  }
  base::Buffer bytes = in->Split(static_cast<size_t>(std::min<uint64_t>(in->size(), body->rest)));
  body->rest -= bytes.size();
  if (const char* why = reply_check_ ? reply_check_->Feed(bytes) : nullptr) {
    LoseBad(why);
    return false;
  }
  moved_ = loop_->Now();
  const bool whole = body->rest == 0;
  reply_room_ = false;  // until it says so, or is told by OnBodyRoom
  const bool room = body->sink->OnBody(call, std::move(bytes));
  if (dead_ || downloading_ != call) return false;
  if (whole) {
    EndReply(in->empty());
    return true;
  }
  reply_room_ = reply_room_ || room;
  if (!reply_room_) connection_.PauseReading();
  return reply_room_;
}

void ThriftSession::EndReply(bool last) {
  call::Call* call = downloading_;
  Entry* e = in_flight_.Of(call);
  const bool clean = !uploading_ && last && !connection_.end_ahead();
  in_flight_.Remove(e);
  alone_ = false;
  reply_check_.reset();
  Release(call);
  owner_->OnSuccess();
  Settle(clean);
  call->EndReply();
}

}  // namespace trestle::backend
