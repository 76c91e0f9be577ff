#include "server/thrift_session.h"

#include <algorithm>
#include <utility>

#include "server/client_reply.h"
#include "thrift/ttwitter.h"

namespace trestle::server {
namespace {

// A large reply is taken from its backend while no more of it than this waits for the client; less
// where memory is short.
constexpr size_t kBodyRoom = 256 * 1024, kShortRoom = 16 * 1024;
// An error that takes a reply's place is about as large.
constexpr size_t kSmallReply = 1024;

}  // namespace

ThriftSession::ThriftSession(Server* server, std::unique_ptr<net::Transport> transport)
    : server_(server),
      connection_(server->loop(), std::move(transport), this),
      reader_(server->options(), server->loop()->arena()),
      opened_(server->loop()->Now()),
      last_used_(opened_),
      moved_(opened_),
      timer_(server->loop(), [this] { OnTimer(); }) {}

ThriftSession::~ThriftSession() { CancelAll(); }

// --- bytes in ---

bool ThriftSession::MayTake() const {
  if (input_ == Input::kBad) return false;
  if (body_rest_ > 0) return !body_call_ || (body_call_->request_body.sink && body_room_);
  const Options& o = server_->options();
  return calls_.size() < o.max_pipelined && unbound_ < o.max_pending_bindings &&
         connection_.unsent() + waiting_bytes_ <= o.max_connection_bytes;
}

// What is only dropped costs no memory; and who holds nothing may bring one call, as long as nobody
// waits in the middle of one.
bool ThriftSession::MayRead() const {
  if (!MayTake()) return false;
  if (!server_->tight() || (body_rest_ > 0 && !body_call_) || server_->favours(this)) return true;
  return connection_.unread() == 0 && connection_.unsent() == 0 && calls_.empty() &&
         !server_->holds_back_others(this);
}

void ThriftSession::OnBytes(base::Buffer* in) {
  last_used_ = moved_ = Now();
  // Again while calls that end at once make room for more.
  for (bool again = true; again && !removed_;) {
    in_bytes_ = true;
    ReadMessages(in);
    const bool full = !MayTake();
    in_bytes_ = false;
    WriteReady();
    again = full && !in->empty() && MayTake() && !connection_.closed();
  }
  if (removed_ || connection_.closed()) return;
  if (input_ == Input::kEnded && CutOff()) Bad("ended in the middle of a message");
  if (partial_ && server_->full() && in->size() > server_->options().stream_threshold) {
    Bad("over maxBufferedBytes with " + std::to_string(in->size()) +
        " bytes of a message that has to be held until whole");
  }
  if (removed_) return;
  if (input_ == Input::kBad) in->Clear();
  if (!MayRead() || (draining_ && !calls_.empty() && body_rest_ == 0)) Pause();
  WatchGaps();
  CloseIfDone();
}

void ThriftSession::ReadMessages(base::Buffer* in) {
  partial_ = false;
  while (!in->empty() && MayTake() && !connection_.closed()) {
    if (body_rest_ > 0) {
      PassBody(in);
      continue;
    }
    const bool told = reader_.dialect().has_value();
    thrift::Outcome outcome = reader_.Next(in);
    if (!told && reader_.dialect()) server_->CountDialect(*reader_.dialect());
    if (outcome == thrift::Outcome::kNeedMore) {
      partial_ = true;
      return;
    }
    if (outcome == thrift::Outcome::kMalformed) return Bad(reader_.why());
    auto call = server_->TakeCall();
    if (!reader_.Take(call.get())) return Bad(reader_.why());
    if (reader_.MayUpgrade() && call->method == thrift::kUpgradeMethod && !call->oneway()) {
      AnswerUpgrade(std::move(call));
    } else {
      Begin(std::move(call));
    }
  }
}

// Hands on, or drops, what is here of a large request.
void ThriftSession::PassBody(base::Buffer* in) {
  const size_t n = std::min<uint64_t>(in->size(), body_rest_);
  body_rest_ -= n;
  server_->metrics().received_bytes->Add(n);
  if (half_closed_ != base::TimePoint{}) half_closed_ = Now();  // its end came ahead of these
  if (!body_call_) return in->TrimFront(n);
  call::Call* call = body_call_;
  call->request_body.rest = body_rest_;
  if (body_rest_ == 0) body_call_ = nullptr;
  body_room_ = call->request_body.sink->OnBody(call, in->Split(n));
}

void ThriftSession::OnBodyRoom(call::Call* call) {
  if (call != body_call_) return;
  body_room_ = true;
  if (!in_bytes_) Resume();
}

void ThriftSession::AnswerUpgrade(std::unique_ptr<call::Call> call) {
  server_->metrics().upgrades->Add();
  server_->Admit();  // given back with the reply
  call::Call* c = call.get();
  body_rest_ = c->request_body.rest;
  calls_.PushBack(std::move(call));
  c->Reply(UpgradeFrame(*c, server_->loop()->arena()), thrift::ReplyKind::kUnknown);
  reader_.Upgrade();
}

void ThriftSession::Begin(std::unique_ptr<call::Call> call) {
  ServerMetrics& m = server_->metrics();
  const Options& o = server_->options();
  call::Call* c = call.get();
  m.received_bytes->Add(c->request_bytes - c->request_body.rest);
  m.request_bytes->Record(c->request_bytes);
  ++served_;
  c->start = Now();
  c->sink = this;
  if (o.clear_context) c->ClearContext(false);
  if (!o.dest.empty()) c->default_dest = &o.dest;
  if (!connection_.peer().identity.empty()) c->identity = &connection_.peer().identity;
  calls_.PushBack(std::move(call));
  if (c->streamed) {
    body_rest_ = c->request_body.rest;
    body_call_ = c;
    body_room_ = true;
    c->request_body.source = this;
  }
  const char* refused = nullptr;
  if (server_->full()) {
    refused = "over maxBufferedBytes";
    server_->LookAgain();
  }
  if (!server_->Admit()) refused = "over maxConcurrentRequests of this server";
  if (refused) {
    m.refused->Add();
    return c->Fail(call::Step::kIdentify, base::Status(base::Code::kRefused, refused));
  }
  server_->handler()->Handle(c);
  if (!removed_ && !c->ended() && c->step == call::Step::kBind) ++unbound_;
}

void ThriftSession::OnBound(call::Call* call) {
  CountUnbound(call);
  // Not at once: whoever tells it is about to go on with the call.
  if (connection_.paused()) server_->loop()->AtTurnEnd(this);
}

void ThriftSession::CountUnbound(const call::Call* bound) {
  unbound_ = 0;
  for (uint32_t i = 0; i < calls_.size(); i++) {
    const call::Call* c = calls_.at(i);
    if (c != bound && !c->ended() && c->step == call::Step::kBind) ++unbound_;
  }
}

void ThriftSession::Bad(const std::string& why) {
  if (input_ == Input::kBad) return;
  input_ = Input::kBad;
  partial_ = false;
  server_->CountBadBytes(connection_.peer(), why);
  CutBody();
}

// The rest of the large request, which is that of the last call, will not come.
void ThriftSession::CutBody() {
  body_rest_ = 0;
  if (!body_call_) return;
  if (std::exchange(body_call_, nullptr) == replying_) return Abandon();
  auto call = calls_.PopBack();
  waiting_bytes_ -= call->waiting_bytes;
  call->Cancel();
  server_->GiveBack(std::move(call));
}

bool ThriftSession::CutOff() const { return body_rest_ > 0 ? connection_.unread() == 0 : partial_; }

void ThriftSession::Pause() {
  connection_.PauseReading();
  if (MayTake() && !MayRead()) HoldBack();
}

void ThriftSession::HoldBack() {
  if (!held_back()) moved_ = Now();
  server_->HoldBack(this);
  WatchGaps();  // for now it may have come to hold what it did not before
}

// Reads on after a pause. Where memory is short, or when draining, only what is here already.
void ThriftSession::Resume() {
  if (removed_ || !connection_.paused() || !MayTake()) return;
  const bool here = connection_.unread() > 0 && !partial_;
  if (!here && !MayRead()) return HoldBack();
  if (draining_ && connection_.unread() == 0 && body_rest_ == 0) return;
  server_->Free(this);
  moved_ = Now();
  connection_.ResumeReading();
}

// --- replies out ---

// The call was taken on when there was memory; now there is none for replies that only wait.
bool ThriftSession::MayKeep(const call::Call& call) const {
  return call.end() != call::End::kReplied || call.reply_begun() || !server_->full() ||
         call.reply.size() <= kSmallReply || connection_.unsent() + waiting_bytes_ <= kShortRoom;
}

void ThriftSession::OnEnded(call::Call* call) {
  if (!MayKeep(*call)) {
    server_->metrics().refused->Add();
    const size_t waits = connection_.unsent() + waiting_bytes_;
    call->Withdraw(base::Status(
        base::Code::kRefused,
        "over maxBufferedBytes while " + std::to_string(waits) + " bytes wait for the client"));
  }
  Count(*call);
  call->ForgetBytes();  // it may wait for its turn
  if (call == body_call_) body_call_ = nullptr;
  if (unbound_ > 0) CountUnbound(nullptr);
  // A cancelled one is with whoever cancelled it.
  if (call->end() == call::End::kCancelled || removed_ || connection_.closed()) return;
  const bool whole = call->end() == call::End::kReplied && call->reply_body.whole();
  if (call->reply_begun() && !whole && (call == replying_ || call->end() == call::End::kReplied)) {
    return BreakReply();
  }
  if (call->end() == call::End::kFailed) call->reply.Clear();  // it may have begun
  if (call != replying_) KeepForItsTurn(call);
  Settle();
}

void ThriftSession::OnReplyBegun(call::Call* call) {
  if (removed_ || connection_.closed()) return;
  KeepForItsTurn(call);
  Settle();
}

void ThriftSession::KeepForItsTurn(call::Call* call) {
  const bool next = calls_.front() == call;
  if (next && !in_bytes_ && !writing_) return;
  // Let what has to wait for another call not hold on to read memory meanwhile.
  if (!next && !calls_.front()->ended()) {
    call->reply.Compact();
    call->reply_header_bytes.Compact();
  }
  waiting_bytes_ -= call->waiting_bytes;
  call->waiting_bytes = call->reply.size() + call->reply_header_bytes.size() + call->failure.size();
  waiting_bytes_ += call->waiting_bytes;
}

// Does what has become possible.
void ThriftSession::Settle() {
  if (in_bytes_ || writing_) return;
  WriteReady();
  Resume();
  if (removed_ || connection_.closed()) return;
  if (!connection_.paused() && !MayRead()) {
    Pause();
    WatchGaps();
  }
  CloseIfDone();
}

void ThriftSession::WriteReady() {
  if (writing_) return;
  writing_ = true;
  while (!calls_.empty() && !connection_.closed()) {
    call::Call* next = calls_.front();
    if (!next->ended()) {
      if (!next->reply_begun() || next == replying_) break;
      StartReply(next);
      continue;
    }
    last_used_ = Now();
    auto call = calls_.PopFront();
    waiting_bytes_ -= call->waiting_bytes;
    WriteReply(call.get());
    server_->GiveBack(std::move(call));
  }
  writing_ = false;
}

void ThriftSession::WriteReply(call::Call* call) {
  ServerMetrics& m = server_->metrics();
  if (call == replying_) {
    replying_ = nullptr;
    m.response_bytes->Record(reply_bytes_);
    return;
  }
  if (call->end() == call::End::kOneway || call->oneway()) return;
  base::Arena* arena = server_->loop()->arena();
  base::Buffer frame =
      call->end() == call::End::kFailed ? FailureFrame(*call, arena) : std::move(call->reply);
  frame = ForClient(call, reader_.dialect()->framing, std::move(frame), arena);
  m.sent_bytes->Add(frame.size());
  m.response_bytes->Record(frame.size());
  connection_.Write(std::move(frame));
}

// The turn of a large reply has come.
void ThriftSession::StartReply(call::Call* call) {
  waiting_bytes_ -= std::exchange(call->waiting_bytes, 0);
  base::Buffer head =
      ForClient(call, reader_.dialect()->framing, std::move(call->reply), server_->loop()->arena());
  reply_bytes_ = head.size();
  server_->metrics().sent_bytes->Add(head.size());
  connection_.Write(std::move(head));
  replying_ = call;
  call->reply_body.sink = this;
  wants_body_ = true;
  server_->loop()->AtTurnEnd(this);
  AskForBody();
}

bool ThriftSession::OnBody(call::Call* call, base::Buffer bytes) {
  if (call != replying_) return false;
  last_used_ = Now();
  if (half_closed_ != base::TimePoint{}) half_closed_ = last_used_;
  reply_bytes_ += bytes.size();
  server_->metrics().sent_bytes->Add(bytes.size());
  connection_.Write(std::move(bytes));
  server_->loop()->AtTurnEnd(this);
  asked_again_ = false;
  wants_body_ = connection_.unsent() > BodyRoom();
  return !wants_body_;
}

size_t ThriftSession::BodyRoom() const { return server_->tight() ? kShortRoom : kBodyRoom; }

void ThriftSession::AskForBody() {
  if (!replying_ || !wants_body_ || connection_.unsent() > BodyRoom()) return;
  wants_body_ = false;
  if (replying_->reply_body.source) replying_->reply_body.source->OnBodyRoom(replying_);
}

void ThriftSession::OnTurnEnd() {
  if (removed_ || connection_.closed()) return;
  AskForBody();
  // Our turn may have come before that of the connection, which writes; what waits after that is
  // told of by OnFlushed.
  if (replying_ && wants_body_ && !std::exchange(asked_again_, true)) {
    server_->loop()->AtTurnEnd(this);
  }
  Settle();
  if (!removed_) WatchGaps();
}

// Half a reply is with the client: only the end of its connection can tell that no more comes.
void ThriftSession::BreakReply() {
  server_->metrics().broken_replies->Add();
  Abandon();
}

void ThriftSession::Count(const call::Call& call) {
  ServerMetrics& m = server_->metrics();
  m.calls.Record(call, call.start, Now());
  if (call.end() == call::End::kFailed && !call.oneway()) m.router_errors->Add();
}

void ThriftSession::OnFlushed() {
  AskForBody();
  Resume();
}

}  // namespace trestle::server
