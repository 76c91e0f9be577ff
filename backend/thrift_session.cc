#include "backend/thrift_session.h"

#include <algorithm>
#include <utility>

namespace trestle::backend {
namespace {

constexpr uint32_t kLength = 4;
constexpr uint32_t kHead = thrift::MaxEnvelopeSize(thrift::kMaxNameBytes);
constexpr uint32_t kFirstField = 8;  // bytes that tell what a reply is

}  // namespace

ThriftSession::ThriftSession(net::EventLoop* loop, const Options& options, SessionOwner* owner,
                             std::unique_ptr<net::Transport> transport)
    : loop_(loop),
      options_(options),
      owner_(owner),
      connection_(loop, std::move(transport), this),
      frames_(options.max_frame_bytes),
      opened_(loop->Now()),
      idle_since_(opened_),
      timer_(loop, [this] { OnAttemptOver(); }) {}

ThriftSession::~ThriftSession() {
  if (!call_) return;
  call::Call* call = std::exchange(call_, nullptr);
  call->holder = nullptr;
  call->Fail(call->step, base::Status(base::Code::kInternal, "shutting down"));
}

void ThriftSession::OnAttemptOver() {
  auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(*options_.attempt_timeout);
  const char* what = connection_.unsent() > 0 ? "could not write all to " : "no reply from ";
  Lose(call::Step::kReply,
       base::Status(base::Code::kTimeout, what + Where() + " within " + std::to_string(ms.count()) +
                                              " ms (requestAttemptTimeoutMs)"));
}

void ThriftSession::Send(call::Call* call) {
  call_ = call;
  after_oneway_ = false;
  call->holder = this;
  call->step = call::Step::kDispatch;
  name_.assign(call->method);
  protocol_ = call->protocol;
  seqid_ = seqid_ == INT32_MAX ? 1 : seqid_ + 1;
  position_ = connection_.queued();
  base::Buffer frame = call->request.Share();
  call::PutSeqid(&frame, protocol_, call->envelope, seqid_, loop_->arena());
  connection_.Write(std::move(frame));
  loop_->AtTurnEnd(this);  // after the connection's own, which writes
  if (options_.attempt_timeout) timer_.Arm(*options_.attempt_timeout);
}

// The call was written, as far as the system took it.
void ThriftSession::OnTurnEnd() {
  if (!call_ || connection_.unsent() > 0) return;
  call_->step = call::Step::kReply;
  if (!call_->oneway()) {
    // What is in flight for long must not hold on to read memory.
    if (call_->idempotent) {
      call_->request.Compact();
    } else {
      call_->request.Clear();
    }
    return;
  }
  timer_.Cancel();
  call::Call* done = std::exchange(call_, nullptr);
  after_oneway_ = true;
  oneways_[oneway_count_++ % oneways_.size()] = seqid_;
  idle_since_ = loop_->Now();
  owner_->OnSuccess();
  owner_->OnIdle(this);
  done->OnewayDone();
}

void ThriftSession::OnBytes(base::Buffer* in) {
  while (!dead_) {
    base::Buffer frame;
    thrift::Outcome outcome = frames_.Next(in, &frame);
    if (outcome == thrift::Outcome::kNeedMore) {
      // Idle, only the answer to a oneway may come; other bytes would stand before the next reply.
      if (call_ || in->empty() || oneway_count_ > 0) return;
      return Lose(call::Step::kReply,
                  base::Status(base::Code::kMalformed, "bytes that nobody asked for"));
    }
    if (outcome == thrift::Outcome::kMalformed) {
      return Lose(
          call::Step::kReply,
          base::Status(base::Code::kMalformed, "bad frame from " + Where() + ": " + frames_.why()));
    }
    if (!OnFrame(std::move(frame), in->empty())) return;
  }
}

bool ThriftSession::OnFrame(base::Buffer frame, bool last) {
  auto head = static_cast<uint32_t>(std::min<size_t>(frame.size(), kLength + kHead + kFirstField));
  std::string_view bytes = std::string_view(frame.Front(head), head).substr(kLength);
  thrift::Envelope envelope;
  thrift::DecodeResult r = thrift::DecodeEnvelope(protocol_, bytes, &envelope);
  const char* refused = r.outcome == thrift::Outcome::kOk ? nullptr
                        : r.outcome == thrift::Outcome::kMalformed
                            ? r.why
                            : "a frame too short for its message";
  // With verifySeqid off, seqids tell nothing while a call waits.
  bool own = call_ && (envelope.seqid == seqid_ || !options_.verify_seqid);
  if (!refused && !own && IsOneway(envelope.seqid)) {
    owner_->OnStrayAnswer();
    return true;
  }
  if (!refused) refused = Refuse(envelope);
  if (refused) {
    Lose(call::Step::kReply,
         base::Status(base::Code::kMalformed, "bad reply from " + Where() + ": " + refused));
    return false;
  }
  thrift::ReplyKind kind =
      thrift::ClassifyReply(protocol_, envelope.type, bytes.substr(envelope.size));
  call::PutSeqid(&frame, protocol_, envelope, call_->envelope.seqid, loop_->arena());
  timer_.Cancel();
  call::Call* done = std::exchange(call_, nullptr);
  done->holder = nullptr;
  idle_since_ = loop_->Now();
  owner_->OnSuccess();
  if (last && !connection_.end_ahead()) {
    owner_->OnIdle(this);  // first, so that the caller's next call finds it
  } else {
    Die();  // more bytes than one reply, or the backend's end
  }
  done->Reply(std::move(frame), kind);
  return false;
}

const char* ThriftSession::Refuse(const thrift::Envelope& envelope) const {
  if (!call_) return "a reply to no call";
  if (connection_.sent() <= position_) return "a reply before the call was written";
  if (options_.verify_seqid && envelope.seqid != seqid_) return "a reply with another seqid";
  if (envelope.type == thrift::MessageType::kException) return nullptr;
  if (envelope.type != thrift::MessageType::kReply) return "a message that is no reply";
  if (envelope.name == name_) return nullptr;
  size_t colon = name_.find(':');
  if (colon != std::string::npos && envelope.name == std::string_view(name_).substr(colon + 1)) {
    return nullptr;
  }
  return "a reply with another name";
}

bool ThriftSession::IsOneway(int32_t seqid) const {
  size_t n = std::min<size_t>(oneway_count_, oneways_.size());
  return std::find(oneways_.begin(), oneways_.begin() + static_cast<ptrdiff_t>(n), seqid) !=
         oneways_.begin() + static_cast<ptrdiff_t>(n);
}

void ThriftSession::OnEnd() {
  Lose(call::Step::kReply, base::Status(base::Code::kClosed,
                                        Where() + (connection_.unread() > 0
                                                       ? " closed the connection in mid-reply"
                                                       : " closed the connection before a reply")));
}

void ThriftSession::OnGone(const base::Status& why) { Lose(call::Step::kReply, why); }

// The connection is of no more use; the call, if there is one, is lost here.
void ThriftSession::Lose(call::Step step, const base::Status& why) {
  if (dead_) return;
  bool left = connection_.sent() > position_;
  call::Call* call = std::exchange(call_, nullptr);
  Die();
  if (!call) return;
  call->holder = nullptr;
  owner_->OnLost(call, left ? step : call::Step::kDispatch, why, left);
}

// A reply may be on its way, so the connection cannot be used again.
void ThriftSession::OnCancel(call::Call* call) {
  if (call != call_) return;
  call_ = nullptr;
  owner_->OnLetGo(call->out_of_time);
  Die();
}

void ThriftSession::Close() { Die(); }

void ThriftSession::Die() {
  if (dead_) return;
  dead_ = true;
  timer_.Cancel();
  connection_.Close();
  owner_->OnDead(this);
}

}  // namespace trestle::backend
