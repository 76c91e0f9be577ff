#include "backend/thrift_session.h"

#include <algorithm>
#include <utility>

#include "backend/request_frame.h"
#include "thrift/frame.h"

namespace trestle::backend {
namespace {

// A reply that is not whole and larger than this gives way when memory is short.
constexpr size_t kSmallReply = 64 * 1024;
// Of which late answers are known.
constexpr size_t kMostOneways = 1024;
constexpr uint32_t kLength = 4;  // bytes of a frame's length

// Looks at what is here of the message; keeps the rest of the work for its rest.
const char* Check(thrift::Protocol protocol, base::Buffer* frame, uint32_t envelope, bool whole,
                  std::unique_ptr<thrift::OneMessage>* rest) {
  const uint32_t length = thrift::ReadU32(frame->Front(kLength));
  thrift::OneMessage check(protocol, length - envelope);
  const char* why = check.Feed(*frame, kLength + envelope);
  if (!why && !whole) *rest = std::make_unique<thrift::OneMessage>(check);
  return why;
}

}  // namespace

ThriftSession::ThriftSession(net::EventLoop* loop, const Options& options, SessionOwner* owner,
                             std::unique_ptr<net::Transport> transport, const Spoken& spoken)
    : Session(loop->Now()),
      loop_(loop),
      options_(options),
      owner_(owner),
      spoken_(spoken),
      connection_(loop, std::move(transport), this),
      replies_(spoken, options),
      in_flight_(spoken.max_in_flight),
      refused_(loop),
      timer_(loop, [this] { OnTimer(); }) {}

ThriftSession::~ThriftSession() {
  dead_ = true;
  while (Entry* e = in_flight_.oldest()) {
    call::Call* call = e->call;
    in_flight_.Remove(e);
    if (!call) continue;
    Release(call);
    call->Fail(call->step, base::Status(base::Code::kInternal, "shutting down"));
  }
}

void ThriftSession::Start() {
  connection_.SetTimeouts(options_.read_timeout, options_.write_timeout);
  connection_.Start();
}

bool ThriftSession::Speaks(const call::Call& call) const {
  if (call.streamed && busy()) return false;
  return call.protocol == spoken_.protocol || (!spoken_.upgraded && connection_.queued() == 0);
}

void ThriftSession::Send(call::Call* call) {
  if (const char* why = CheckRequest(call)) {
    owner_->OnLetGo(false);
    call->step = call::Step::kDispatch;
    return refused_.Add(call, why);
  }
  if (call->protocol != spoken_.protocol) {
    spoken_.protocol = call->protocol;
    replies_.SetProtocol(call->protocol);
  }
  set_after_oneway(false);
  call->holder = this;
  call->step = call::Step::kDispatch;
  Entry* e = in_flight_.Add(call, loop_->Now());
  e->begin = connection_.queued();
  if (stuck_) call->Compact();
  connection_.Write(MakeRequestFrame(call, spoken_, OnwardAs(*call, e->seqid), loop_->arena()));
  e->end = connection_.queued();
  loop_->AtTurnEnd(this);  // after the connection's own, which writes
  if (!call->request_body.whole()) {
    alone_ = uploading_ = body_waits_ = true;
    moved_ = loop_->Now();
    ArmTimer();
  } else if (options_.attempt_timeout) {
    const base::TimePoint at = e->since + *options_.attempt_timeout;
    if (!timer_.armed() || at < timer_.at()) timer_.ArmAt(at);
  }
}

call::Onward ThriftSession::OnwardAs(const call::Call& call, int32_t seqid) const {
  call::Onward onward;
  onward.seqid = seqid;
  const bool theader = spoken_.framing == thrift::Framing::kTHeader;
  if (!spoken_.upgraded && !theader) return onward;
  onward.form = theader ? call::HeaderForm::kTHeader : call::HeaderForm::kTTwitter;
  onward.zlib = theader && options_.theader_zlib && !call.streamed ? 1 : 0;
  onward.now = loop_->clock()->Wall();
  onward.attempt_time = options_.attempt_timeout;
  return onward;
}

const char* ThriftSession::CheckRequest(call::Call* call) {
  request_check_.reset();
  if (call->opaque && call->envelope.size == 0) {
    return "a mux payload that is no Thrift message, for a backend that speaks Thrift";
  }
  if (spoken_.framing != thrift::Framing::kBuffered || call->walked) return nullptr;
  return Check(call->protocol, &call->request, call->envelope.size, call->request_body.whole(),
               &request_check_);
}

const char* ThriftSession::CheckReply(const call::Call& call, Reply* reply) {
  reply_check_.reset();
  if (spoken_.framing == thrift::Framing::kBuffered || !call.walked) return nullptr;
  return Check(call.protocol, &reply->frame, reply->envelope.size, reply->rest == 0, &reply_check_);
}

// What was sent in this turn was written, as far as the system took it.
void ThriftSession::OnTurnEnd() {
  if (uploading_) return AskForBody();
  while (Entry* e = in_flight_.unwritten()) {
    if (dead_) return;
    if (connection_.sent() < e->end) return HoldLess();
    Written(e);
  }
  stuck_ = false;
}

// The backend takes no more for now: what waits for it must not pin read memory.
void ThriftSession::HoldLess() {
  if (std::exchange(stuck_, true)) return;
  for (Entry* e = in_flight_.unwritten(); e; e = in_flight_.Next(e)) {
    if (e->call) e->call->Compact();
  }
}

void ThriftSession::Written(Entry* entry) {
  in_flight_.OnWritten(entry);
  call::Call* call = entry->call;
  if (call) call->step = call::Step::kReply;
  if (!entry->oneway) {
    if (!call) return;
    if (call->streamed) {
      entry->since = loop_->Now();
      ArmTimer();
    }
    // What is in flight for long must not hold on to read memory.
    if (call->idempotent && !call->streamed) {
      call->Compact();
    } else {
      call->ForgetBytes();
    }
    return;
  }
  alone_ = false;
  set_after_oneway(true);
  if (oneways_.size() < kMostOneways) {
    oneways_.push_back(entry->seqid);
  } else {
    oneways_[oneway_count_ % kMostOneways] = entry->seqid;
  }
  ++oneway_count_;
  in_flight_.Remove(entry);
  if (call) {
    Release(call);
    owner_->OnSuccess();
  }
  Settle(true);
  if (call) call->OnewayDone();
}

void ThriftSession::OnBytes(base::Buffer* in) {
  while (!dead_) {
    if (downloading_) {
      if (!HandOn(in)) return;
      continue;
    }
    Reply reply;
    const uint32_t hold = MayHoldLess() ? options_.stream_threshold : UINT32_MAX;
    switch (replies_.Next(in, hold, loop_->arena(), &reply)) {
      case thrift::Outcome::kNeedMore:
        return OnMidReply(*in);
      case thrift::Outcome::kMalformed:
        return LoseUnread();
      case thrift::Outcome::kOk:
        break;
    }
    if (!OnReply(&reply, in->empty())) return;
  }
}

void ThriftSession::OnMidReply(const base::Buffer& in) {
  // Idle, only the answer to a oneway may come; other bytes would stand before the next reply.
  if (in_flight_.empty() && !in.empty() && oneway_count_ == 0) {
    return Lose(call::Step::kReply,
                base::Status(base::Code::kMalformed, "bytes that nobody asked for"));
  }
  if (in.size() > kSmallReply && base::Block::BytesOnThread() > options_.max_buffered_bytes) {
    FailAll(base::Status(base::Code::kRefused,
                         "over maxBufferedBytes with a reply of " + Where() + " in the middle"));
  }
}

bool ThriftSession::OnReply(Reply* reply, bool last) {
  Entry* e = Match(reply->envelope);
  const bool stray = e ? (e->oneway || !e->call) && connection_.sent() > e->begin
                       : IsOneway(reply->envelope.seqid);
  if (stray && reply->rest == 0) {
    DropStray(e);
    return true;
  }
  const char* refused = Refuse(e, reply->envelope);
  if (!refused) refused = CheckReply(*e->call, reply);
  if (refused) {
    LoseBad(refused);
    return false;
  }
  call::Call* call = e->call;
  RestoreEnvelope(&reply->frame, reply->envelope, *call, loop_->arena());
  replies_.GiveHeader(call);
  if (reply->rest > 0) return BeginReply(e, reply);
  if (connection_.end_ahead()) ending_ = true;
  bool clean = !uploading_ && (in_flight_.size() > 1 || (last && !ending_));
  in_flight_.Remove(e);
  alone_ = false;
  Release(call);
  owner_->OnSuccess();
  Settle(clean);  // first, so that the caller's next call finds the connection
  call->Reply(std::move(reply->frame), reply->kind);
  return true;
}

InFlight::Entry* ThriftSession::Match(const thrift::Envelope& envelope) {
  // One that carries many was opened when seqids counted.
  const bool counts = options_.verify_seqid || spoken_.max_in_flight > 1;
  if (counts && !IsAboutHeader(envelope)) return in_flight_.Find(envelope.seqid);
  // Seqids tell nothing while a call waits.
  Entry* e = in_flight_.oldest();
  while (e && e->oneway) e = in_flight_.Next(e);
  return e;
}

// It has no name and the seqid 0, which none of ours is. Among several calls nobody knows whose it
// is, and it may as well be the answer to a oneway before.
bool ThriftSession::IsAboutHeader(const thrift::Envelope& envelope) const {
  return spoken_.framing == thrift::Framing::kTHeader && envelope.seqid == 0 &&
         envelope.name.empty() && envelope.type == thrift::MessageType::kException &&
         in_flight_.size() == 1 && oneway_count_ == 0;
}

const char* ThriftSession::Refuse(const Entry* entry, const thrift::Envelope& envelope) const {
  if (!entry) return in_flight_.empty() ? "a reply to no call" : "a reply with another seqid";
  if (connection_.sent() <= entry->begin) return "a reply before the call was written";
  if (!entry->call || entry->oneway) return "a large reply that nobody waits for";
  return Mismatch(*entry->call, envelope, options_.verify_seqid);
}

bool ThriftSession::IsOneway(int32_t seqid) const {
  return std::find(oneways_.begin(), oneways_.end(), seqid) != oneways_.end();
}

// `entry`: its call was let go of, or is a oneway that is being written.
void ThriftSession::DropStray(Entry* entry) {
  owner_->OnStrayAnswer();
  if (!entry || entry->oneway) return;
  in_flight_.Remove(entry);
  Settle(true);
}

void ThriftSession::Settle(bool clean) {
  set_idle_since(loop_->Now());
  if (dead_) return;
  if (!clean || Deserted()) return Die();
  if (!ending_) owner_->OnRoom(this);
}

void ThriftSession::OnEnd() {
  Lose(call::Step::kReply, base::Status(base::Code::kClosed,
                                        Where() + (connection_.unread() > 0 || downloading_
                                                       ? " closed the connection in mid-reply"
                                                       : " closed the connection before a reply")));
}

// The connection is of no more use; the calls it has are lost here.
void ThriftSession::Lose(call::Step step, const base::Status& why) {
  if (dead_) return;
  const uint64_t sent = connection_.sent();
  Die();
  bool counted = false;
  while (Entry* e = in_flight_.oldest()) {
    call::Call* call = e->call;
    const bool left = sent > e->begin;
    in_flight_.Remove(e);
    if (!call) continue;
    Release(call);
    const bool counts = left && !counted;
    counted |= left;
    owner_->OnLost(call, left ? step : call::Step::kDispatch, why, left, counts);
  }
}

// After bytes that are no reply, or one that there is no memory for.
void ThriftSession::LoseUnread() {
  if (!replies_.short_of_memory()) {
    return Lose(call::Step::kReply, base::Status(base::Code::kMalformed, replies_.Why(Where())));
  }
  FailAll(base::Status(base::Code::kRefused,
                       "over maxBufferedBytes with a reply of " + Where() + " to be inflated"));
}

void ThriftSession::LoseBad(const char* why) {
  Lose(call::Step::kReply,
       base::Status(base::Code::kMalformed, "bad reply from " + Where() + ": " + why));
}

void ThriftSession::FailAll(const base::Status& why) {
  if (dead_) return;
  Die();
  while (Entry* e = in_flight_.oldest()) {
    call::Call* call = e->call;
    in_flight_.Remove(e);
    if (!call) continue;
    Release(call);
    owner_->OnLetGo(false);
    call->Fail(call->step, why);
  }
}

bool ThriftSession::IsBackendsTurn(const call::Call& call) const {
  if (uploading_ && connection_.unsent() == 0) return false;
  return downloading_ != &call || (call.reply_body.sink && !connection_.paused());
}

// A reply may be on its way: alone, the call takes the connection with it.
void ThriftSession::OnCancel(call::Call* call) {
  Entry* e = in_flight_.Of(call);
  if (!e) return;
  const bool blamed = call->backend_was_slow() && IsBackendsTurn(*call);
  Release(call);
  in_flight_.LetGo(e);
  owner_->OnLetGo(blamed);
  if (alone_ || Deserted()) Die();
}

void ThriftSession::Release(call::Call* call) {
  call->holder = nullptr;
  if (call->request_body.sink == this) call->request_body.sink = nullptr;
  if (call->reply_body.source == this) call->reply_body.source = nullptr;
  if (downloading_ == call) downloading_ = nullptr;
}

void ThriftSession::Die() {
  if (dead_) return;
  dead_ = true;
  uploading_ = false;
  timer_.Cancel();
  connection_.Close();
  owner_->OnDead(this);
}

}  // namespace trestle::backend
