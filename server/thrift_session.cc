#include "server/thrift_session.h"

#include <algorithm>
#include <utility>

namespace trestle::server {
namespace {

constexpr uint32_t kLength = 4;  // bytes of a frame's length
// Enough of a message to hold any envelope that we accept.
constexpr uint32_t kHead = thrift::MaxEnvelopeSize(thrift::kMaxNameBytes);

// How long a client has to take the last replies.
constexpr auto kLinger = std::chrono::seconds(2);

// For times that are looked at again and again while calls are in flight.
base::Duration AtLeast(base::Duration d) { return std::max<base::Duration>(d, kLinger); }

}  // namespace

ThriftSession::ThriftSession(Server* server, std::unique_ptr<net::Transport> transport)
    : server_(server),
      connection_(server->loop(), std::move(transport), this),
      frames_(server->options().max_frame_bytes),
      opened_(server->loop()->Now()),
      last_used_(opened_),
      timer_(server->loop(), [this] { OnTimer(); }) {}

ThriftSession::~ThriftSession() { CancelAll(); }

void ThriftSession::Start() {
  connection_.SetTimeouts(server_->options().read_timeout, server_->options().write_timeout);
  connection_.Start();
  ArmTimer();
}

bool ThriftSession::MayRead() const {
  return input_ != Input::kBad && calls_.size() < server_->options().max_pipelined &&
         connection_.unsent() + waiting_bytes_ <= server_->options().max_connection_bytes;
}

void ThriftSession::OnBytes(base::Buffer* in) {
  last_used_ = server_->loop()->Now();
  // Again while calls that end at once make room for more.
  for (bool again = true; again && !removed_;) {
    in_bytes_ = true;
    ReadFrames(in);
    bool full = !MayRead();
    in_bytes_ = false;
    WriteReady();
    again = full && MayRead() && !connection_.closed();
  }
  if (removed_ || connection_.closed()) return;
  if (!MayRead() || (draining_ && !calls_.empty())) {
    connection_.PauseReading();
  } else if (input_ == Input::kEnded && !in->empty()) {
    Bad("ended in the middle of a frame");
  }
  CloseIfDone();
}

void ThriftSession::ReadFrames(base::Buffer* in) {
  while (MayRead() && !connection_.closed()) {
    base::Buffer frame;
    thrift::Outcome outcome = frames_.Next(in, &frame);
    if (outcome == thrift::Outcome::kNeedMore) return;
    if (outcome == thrift::Outcome::kMalformed) return Bad(frames_.why());
    if (!OnFrame(std::move(frame))) return;
  }
}

bool ThriftSession::OnFrame(base::Buffer frame) {
  auto call = server_->TakeCall();
  call->request_bytes = static_cast<uint32_t>(frame.size());
  call->protocol = server_->options().dialect.protocol.value_or(thrift::Protocol::kBinary);
  thrift::DecodeResult header{thrift::Outcome::kOk};
  if (upgraded_) header = ReadHeader(&frame, call.get());
  if (header.outcome != thrift::Outcome::kOk) {
    Bad(std::string("TTwitter header: ") + header.why);
    return false;
  }
  auto head = static_cast<uint32_t>(std::min<size_t>(frame.size(), kLength + kHead));
  std::string_view bytes(frame.Front(head), head);
  thrift::DecodeResult r =
      thrift::DecodeEnvelope(call->protocol, bytes.substr(kLength), &call->envelope);
  if (r.outcome != thrift::Outcome::kOk) {
    Bad(r.outcome == thrift::Outcome::kNeedMore ? "a frame too short for its message" : r.why);
    return false;
  }
  thrift::MessageType type = call->envelope.type;
  if (type != thrift::MessageType::kCall && type != thrift::MessageType::kOneway) {
    Bad("a message that is neither call nor oneway");
    return false;
  }
  call->method.assign(call->envelope.name);
  call->envelope.name = call->method;
  call->request = std::move(frame);
  if (!upgraded_ && call->method == thrift::kUpgradeMethod && !call->oneway()) {
    AnswerUpgrade(std::move(call));
  } else {
    Begin(std::move(call));
  }
  return true;
}

// Cuts the RequestHeader off the front and gives the message a length of its own.
thrift::DecodeResult ThriftSession::ReadHeader(base::Buffer* frame, call::Call* call) {
  auto head = static_cast<uint32_t>(
      std::min<size_t>(frame->size(), kLength + size_t{thrift::kMaxHeaderBytes}));
  std::string_view bytes(frame->Front(head), head);
  uint32_t size = 0;
  call->header.emplace();
  thrift::DecodeResult r =
      thrift::DecodeRequestHeader(call->protocol, bytes.substr(kLength), &*call->header, &size);
  if (r.outcome == thrift::Outcome::kNeedMore) return {thrift::Outcome::kMalformed, "cut off"};
  if (r.outcome != thrift::Outcome::kOk) return r;
  call->header_bytes = frame->Split(kLength + size);
  call->with_header = true;
  base::Slice length = server_->loop()->arena()->Allot(kLength);
  thrift::WriteU32(length.data(), static_cast<uint32_t>(frame->size()));
  frame->Prepend(std::move(length));
  if (server_->options().clear_context) call->header.reset();
  return r;
}

void ThriftSession::AnswerUpgrade(std::unique_ptr<call::Call> call) {
  server_->metrics().upgrades->Add();
  server_->Admit();  // given back with the reply
  call::Call* c = call.get();
  calls_.push_back(std::move(call));
  std::string reply = thrift::EncodeUpgradeReply(c->protocol, c->envelope.seqid);
  base::Slice frame =
      server_->loop()->arena()->Allot(kLength + static_cast<uint32_t>(reply.size()));
  thrift::WriteU32(frame.data(), static_cast<uint32_t>(reply.size()));
  std::copy(reply.begin(), reply.end(), frame.data() + kLength);
  c->Reply(base::Buffer(std::move(frame)), thrift::ReplyKind::kUnknown);
  upgraded_ = true;
}

void ThriftSession::Begin(std::unique_ptr<call::Call> call) {
  ServerMetrics& m = server_->metrics();
  m.received_bytes->Add(call->request_bytes);
  m.request_bytes->Record(call->request_bytes);
  ++served_;
  call::Call* c = call.get();
  c->start = server_->loop()->Now();
  c->sink = this;
  if (!server_->options().dest.empty()) c->default_dest = &server_->options().dest;
  calls_.push_back(std::move(call));
  if (server_->Admit()) {
    server_->handler()->Handle(c);
    return;
  }
  m.refused->Add();
  c->Fail(call::Step::kIdentify,
          base::Status(base::Code::kRefused, "over maxConcurrentRequests of this server"));
}

void ThriftSession::OnEnded(call::Call* call) {
  Count(*call);
  if (call->end() == call::End::kCancelled) return;  // CancelAll has it
  if (in_bytes_ || removed_ || connection_.closed()) return;
  if (calls_.front().get() != call) {
    // It waits for its turn; let it not hold on to read memory meanwhile.
    call->reply.Compact();
    call->waiting_bytes = call->reply.size();
    waiting_bytes_ += call->waiting_bytes;
    if (!MayRead()) connection_.PauseReading();
    return;
  }
  WriteReady();
  Resume();
  if (!removed_) CloseIfDone();
}

void ThriftSession::WriteReady() {
  while (!calls_.empty() && calls_.front()->ended() && !connection_.closed()) {
    last_used_ = server_->loop()->Now();
    auto call = std::move(calls_.front());
    calls_.pop_front();
    waiting_bytes_ -= call->waiting_bytes;
    WriteReply(call.get());
    server_->GiveBack(std::move(call));
  }
}

void ThriftSession::WriteReply(call::Call* call) {
  if (call->end() == call::End::kOneway || call->oneway()) return;
  base::Buffer frame = std::move(call->reply);
  if (call->end() == call::End::kFailed) {
    std::string text = thrift::EncodeApplicationException(
        call->protocol, call::BareMethod(call->method), call->envelope.seqid,
        base::RowOf(call->failed_code).thrift_type, call->failure);
    base::Slice slice =
        server_->loop()->arena()->Allot(kLength + static_cast<uint32_t>(text.size()));
    thrift::WriteU32(slice.data(), static_cast<uint32_t>(text.size()));
    std::copy(text.begin(), text.end(), slice.data() + kLength);
    frame = base::Buffer(std::move(slice));
  }
  if (call->with_header) {
    // The call came with a header (those up to the upgrade did not): so does its reply, an empty
    // ResponseHeader of one stop byte.
    uint32_t message = static_cast<uint32_t>(frame.size()) - kLength;
    frame.TrimFront(kLength);
    base::Slice head = server_->loop()->arena()->Allot(kLength + 1);
    thrift::WriteU32(head.data(), message + 1);
    head.data()[kLength] = thrift::kEmptyResponseHeader[0];
    frame.Prepend(std::move(head));
  }
  ServerMetrics& m = server_->metrics();
  m.sent_bytes->Add(frame.size());
  m.response_bytes->Record(frame.size());
  connection_.Write(std::move(frame));
}

void ThriftSession::Count(const call::Call& call) {
  ServerMetrics& m = server_->metrics();
  m.calls.Record(call, call.start, server_->loop()->Now());
  if (call.end() == call::End::kFailed && !call.oneway()) m.router_errors->Add();
}

void ThriftSession::Bad(const std::string& why) {
  if (input_ == Input::kBad) return;
  input_ = Input::kBad;
  server_->CountBadBytes(connection_.peer(), why);
}

void ThriftSession::OnEnd() {
  if (input_ == Input::kOpen) input_ = Input::kEnded;
  if (connection_.unread() > 0 && !connection_.paused()) Bad("ended in the middle of a frame");
  OnHalfClosed();
  if (!removed_ && !connection_.closing()) CloseIfDone();
}

void ThriftSession::OnHalfClosed() {
  if (half_closed_ == base::TimePoint{}) half_closed_ = server_->loop()->Now();
  if (server_->options().on_half_close == Options::OnHalfClose::kCancel) {
    CancelAll();
    return Finish();
  }
  ArmTimer();
}

void ThriftSession::OnGone(const base::Status&) { Abandon(); }

void ThriftSession::OnFlushed() { Resume(); }

// Reads on after a pause; when draining, only what is here already.
void ThriftSession::Resume() {
  if (!connection_.paused() || !MayRead()) return;
  if (!draining_ || connection_.unread() > 0) connection_.ResumeReading();
}

// Frames that are here already are served; no more are read, or a client that always has a call in
// flight would never be done.
void ThriftSession::Drain() {
  draining_ = true;
  if (!calls_.empty()) connection_.PauseReading();
  CloseIfDone();
}

// Closes the connection when nothing more can come of it.
void ThriftSession::CloseIfDone() {
  if (removed_ || !calls_.empty()) return;
  bool unread_calls = connection_.paused() && connection_.unread() > 0 && input_ != Input::kBad;
  if (unread_calls) return;
  if (input_ != Input::kOpen || (draining_ && connection_.unread() == 0)) return Finish();
  // Half a frame has a while to become whole.
  if (draining_ && !std::exchange(lingering_, true)) timer_.Arm(kLinger);
}

// Writes what is left and goes.
void ThriftSession::Finish() {
  bool nothing_left = connection_.unsent() == 0 && (connection_.ended() || input_ != Input::kBad);
  if (connection_.closed() || nothing_left) return Abandon();
  if (connection_.closing()) return;
  connection_.CloseAfterWrites();
  timer_.Arm(kLinger);
}

void ThriftSession::OnClosed() { Abandon(); }

void ThriftSession::Abandon() {
  if (removed_) return;
  removed_ = true;
  connection_.Close();
  CancelAll();
  server_->metrics().connection_requests->Record(served_);
  timer_.Cancel();
  server_->Remove(this);
}

void ThriftSession::CancelAll() {
  while (!calls_.empty()) {
    auto call = std::move(calls_.front());
    calls_.pop_front();
    call->Cancel();
    server_->GiveBack(std::move(call));
  }
}

// The earliest of: half-close, idle and life time.
void ThriftSession::ArmTimer() {
  const Options& o = server_->options();
  std::optional<base::TimePoint> at;
  auto sooner = [&at](base::TimePoint t) { at = at ? std::min(*at, t) : t; };
  if (half_closed_ != base::TimePoint{}) sooner(half_closed_ + o.half_close_timeout);
  if (o.idle_time) sooner(last_used_ + (calls_.empty() ? *o.idle_time : AtLeast(*o.idle_time)));
  if (o.life_time) {
    base::TimePoint end = opened_ + *o.life_time;
    sooner(old_ ? std::max(end, server_->loop()->Now()) + AtLeast(o.half_close_timeout) : end);
  }
  if (at && !removed_) timer_.ArmAt(*at);
}

void ThriftSession::OnTimer() {
  const Options& o = server_->options();
  base::TimePoint now = server_->loop()->Now();
  bool half_close_over =
      half_closed_ != base::TimePoint{} && now >= half_closed_ + o.half_close_timeout;
  if (half_close_over || connection_.closed() || connection_.closing()) return Abandon();
  bool idle = o.idle_time && calls_.empty() && now >= last_used_ + *o.idle_time;
  bool was_old = std::exchange(old_, o.life_time && now >= opened_ + *o.life_time);
  if (idle || old_) draining_ = true;
  // Half a frame keeps it no longer: its client was silent, or had a while to send the rest.
  bool drained = server_->draining() && calls_.empty();
  if (idle || drained || (was_old && calls_.empty())) return Finish();
  CloseIfDone();
  if (removed_ || connection_.closing()) return;
  if (!calls_.empty()) last_used_ = now;
  ArmTimer();
}

}  // namespace trestle::server
