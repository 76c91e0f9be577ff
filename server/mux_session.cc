#include "server/mux_session.h"

#include <algorithm>
#include <string>
#include <utility>

#include "call/crossing.h"
#include "server/client_reply.h"
#include "thrift/frame.h"

namespace trestle::server {
namespace {

using mux::ReplyStatus;
using mux::Type;

constexpr uint32_t kLength = 4;  // bytes of a frame's length
// So much of large replies waits to be written before more of them is cut into fragments.
constexpr size_t kPumpRoom = 256 * 1024;
constexpr std::string_view kNoContexts("\0\0", 2);

mux::Joiner::Bounds JoinerBounds(const Options& options) {
  const uint64_t message = uint64_t{options.max_frame_bytes} + mux::kMaxHeaderBytes;
  return {message, 2 * message, std::min<uint32_t>(options.max_dispatches, 1024)};
}

}  // namespace

MuxSession::MuxSession(Server* server, std::unique_ptr<net::Transport> transport)
    : server_(server),
      connection_(server->loop(), std::move(transport), this),
      frames_(static_cast<uint32_t>(std::min<uint64_t>(
          INT32_MAX, uint64_t{server->options().max_frame_bytes} + mux::kMaxHeaderBytes))),
      joiner_(JoinerBounds(server->options())),
      reader_(server->loop()->arena()),
      opened_(server->loop()->Now()),
      last_used_(opened_),
      moved_(opened_),
      timer_(server->loop(), [this] { OnTimer(); }) {
  server_->mux().open->Add(1);
}

MuxSession::~MuxSession() {
  // The server may be gone by now, but not while there are calls.
  removed_ = true;
  CancelAll();
}

// --- messages in ---

// Memory is short: only who holds next to nothing is read.
bool MuxSession::MayRead() const {
  constexpr size_t kLittle = 16 * 1024;
  if (bad_ || state_ == State::kSecuring) return false;
  if (Unsent() > options().max_connection_bytes) return false;
  if (!server_->tight() || server_->favours(this)) return true;
  return connection_.unread() + joiner_.bytes() + Unsent() <= kLittle;
}

void MuxSession::OnBytes(base::Buffer* in) {
  const size_t before = in->size();
  if (!HasPieces()) moved_ = Now();
  in_bytes_ = true;
  ReadFrames(in);
  in_bytes_ = false;
  if (in->size() == before) moved_ = Now();  // more of one frame
  for (auto& call : ended_) server_->GiveBack(std::move(call));
  ended_.clear();
  if (removed_ || connection_.closed()) return;
  if (bad_) in->Clear();
  if (!MayRead() && !connection_.paused()) {
    connection_.PauseReading();
    if (!bad_ && Unsent() <= options().max_connection_bytes) server_->HoldBack(this);
  }
  Watch();
  CloseIfDone();
}

void MuxSession::ReadFrames(base::Buffer* in) {
  partial_ = false;
  mux::Frame frame;
  while (!in->empty() && !bad_ && !removed_ && !connection_.closed()) {
    if (state_ == State::kSecuring) return;
    if (Unsent() > options().max_connection_bytes) return;
    switch (frames_.Next(in, &frame)) {
      case mux::Outcome::kNeedMore:
        partial_ = true;
        return;
      case mux::Outcome::kMalformed:
        return Bad(frames_.why());
      case mux::Outcome::kOk:
        OnFrame(&frame);
    }
  }
}

void MuxSession::OnFrame(mux::Frame* frame) {
  server_->metrics().received_bytes->Add(mux::kHeadBytes + frame->body.size());
  const bool dispatch = frame->type == Type::kTdispatch || frame->type == Type::kTreq;
  const bool joined = dispatch && (joiner_.Has(frame->tag) || dropped_.contains(frame->tag));
  if (frame->more || joined) {
    server_->mux().fragments_received->Add();
    last_used_ = moved_ = Now();
    if (frame->more) frame->body.Compact();
    if (dispatch && (dropped_.contains(frame->tag) || !joiner_.HasRoomFor(*frame))) {
      return DropPiece(*frame);
    }
  }
  // The probe's text looks like a fragment to nobody: only dispatches are joined.
  switch (joiner_.Take(frame)) {
    case mux::Outcome::kNeedMore:
      return;
    case mux::Outcome::kMalformed:
      return Bad(joiner_.why());
    case mux::Outcome::kOk:
      return OnWhole(frame, joined);
  }
}

// There is no room for the message that it is a piece of: none of its pieces are kept, and it is
// refused when the last one is here, as the tag is in use until then.
void MuxSession::DropPiece(const mux::Frame& frame) {
  joiner_.Drop(frame.tag);
  if (frame.more) {
    dropped_.insert(frame.tag);
    if (dropped_.size() > options().max_dispatches) Bad("too many messages in pieces");
    return;
  }
  dropped_.erase(frame.tag);
  if (calls_.Find(frame.tag)) return OnDuplicate(frame.tag);
  server_->metrics().refused->Add();
  Nack(frame.tag, frame.type == Type::kTreq, true);
}

void MuxSession::OnWhole(mux::Frame* frame, bool joined) {
  if (frame->type == Type::kTdispatch || frame->type == Type::kTreq) {
    return MayBegin(frame->tag) ? OnDispatch(frame, joined) : void();
  }
  // The others are small, and their texts are read in one piece.
  std::string_view body = frame->body.Whole();
  if (frame->type == Type::kRerr) return OnProbe(*frame, body);
  if (frame->type == Type::kTinit) return OnInit(*frame, body);
  if (!MayBegin(frame->tag)) return;
  switch (frame->type) {
    case Type::kTping:
      server_->mux().pings->Add();
      return Say(Type::kRping, frame->tag);
    case Type::kTdiscarded:
      return OnDiscarded(body);
    case Type::kRdrain:
      if (draining_ == Draining::kNo) return Unexpected(*frame);
      draining_ = Draining::kAgreed;
      return;
    default:
      return Unexpected(*frame);
  }
}

void MuxSession::OnProbe(const mux::Frame& frame, std::string_view body) {
  if (state_ != State::kFresh || body != mux::kProbe) return Unexpected(frame);
  state_ = State::kProbed;
  Say(Type::kRerr, frame.tag, body);
}

void MuxSession::OnInit(const mux::Frame& frame, std::string_view body) {
  if (state_ == State::kOpen) return Unexpected(frame);
  state_ = State::kOpen;
  mux::Init init;
  const mux::DecodeResult r = mux::DecodeInit(body, &init);
  std::string wrong;
  if (r.outcome != mux::Outcome::kOk) {
    wrong = std::string("bad Tinit: ") + (r.outcome == mux::Outcome::kNeedMore ? "cut off" : r.why);
  } else if (init.version != mux::kVersion) {
    wrong = "Unsupported Mux version: " + std::to_string(init.version);
  }
  const auto piece = wrong.empty() ? mux::FramerOf(init) : std::nullopt;
  if (piece && *piece < mux::kLeastFragment) {
    wrong = "mux-framer under " + std::to_string(mux::kLeastFragment) + " bytes";
  }
  if (!wrong.empty()) {
    SayError(frame.tag, wrong);
    return Bad(wrong);
  }
  if (piece) splitter_.set_piece(*piece);
  const std::string framer = mux::ShowFramer(options().mux_fragment);
  mux::Init answer;
  answer.headers = {{mux::kFramerKey, framer}, {mux::kTlsKey, mux::TlsLevelName(tls_level())}};
  std::string bytes;
  mux::EncodeInit(answer, &bytes);
  Say(Type::kRinit, frame.tag, bytes);
  ChooseTls(frame, mux::TlsLevelOf(init));
}

void MuxSession::OnDispatch(mux::Frame* frame, bool joined) {
  last_used_ = Now();
  const uint32_t tag = frame->tag;
  const bool old = frame->type == Type::kTreq;
  if (calls_.Find(tag) || joiner_.Has(tag)) return OnDuplicate(tag);
  // What came in pieces was begun before.
  if (draining_ == Draining::kAgreed && !joined) return Nack(tag, old, false);
  auto call = server_->TakeCall();
  const auto found = reader_.Take(frame, options(), call.get());
  if (found == DispatchReader::Found::kNoMessage) return SayError(tag, reader_.why());
  if (found == DispatchReader::Found::kNoThrift) {
    server_->mux().errors->Add();
    return AnswerWith(tag, old, ReplyStatus::kError, kNoContexts,
                      base::Buffer::Copy("trestle: identify: " + reader_.why()));
  }
  ServerMetrics& m = server_->metrics();
  m.request_bytes->Record(call->request_bytes);
  ++served_;
  call->start = Now();
  call->sink = this;
  call->tag = tag;
  // On a mux port the destination is the call's name.
  if (options().clear_context) call->ClearContext(options().port == Options::Port::kMux);
  if (!options().dest.empty()) call->default_dest = &options().dest;
  if (!connection_.peer().identity.empty()) call->identity = &connection_.peer().identity;
  call::Call* c = call.get();
  calls_.Put(tag, {std::move(call), old});
  server_->mux().tags->Add(1);
  Begin(c);
}

void MuxSession::Begin(call::Call* call) {
  std::string refused;
  base::Code code = base::Code::kRefused;
  if (calls_.size() > options().max_dispatches) {
    refused = "over mux.maxDispatches (" + std::to_string(options().max_dispatches) + ")";
  } else if (server_->full()) {
    refused = "over maxBufferedBytes";
    server_->LookAgain();
  } else if (call->request.size() - kLength > options().max_frame_bytes) {
    refused = "over maxFrameBytes (" + std::to_string(options().max_frame_bytes) + ")";
    code = base::Code::kInvalid;  // it will be that the next time, too
  }
  if (!server_->Admit() && refused.empty()) {
    refused = "over maxConcurrentRequests of this server";
  }
  if (refused.empty()) return server_->handler()->Handle(call);
  server_->metrics().refused->Add();
  call->Fail(call::Step::kIdentify, base::Status(code, refused));
}

void MuxSession::OnDiscarded(std::string_view body) {
  mux::Discarded discarded;
  if (mux::DecodeDiscarded(body, &discarded).outcome != mux::Outcome::kOk) {
    return SayError(mux::kMarkerTag, "bad Tdiscarded");
  }
  // No call began, so nothing is answered.
  if (joiner_.Drop(discarded.tag) || dropped_.erase(discarded.tag) > 0) return;
  Dispatch* dispatch = calls_.Find(discarded.tag);
  if (!dispatch) return;  // unknown, or answered already
  server_->mux().discards->Add();
  dispatch->call->Cancel();
  if (removed_) return;
  Say(Type::kRdiscarded, discarded.tag);
  Finish(discarded.tag);
}

// Nobody can tell any more which call an answer belongs to.
void MuxSession::OnDuplicate(uint32_t tag) {
  const std::string why = "Received duplicate tag " + std::to_string(tag) + " from client.";
  server_->mux().duplicate_tags->Add();
  for (uint32_t open : calls_.All()) SayError(open, why);
  Bad("tag " + std::to_string(tag) + " is used twice");
  CancelAll();
}

void MuxSession::Unexpected(const mux::Frame& frame) {
  SayError(frame.tag, "Unexpected mux message type " + std::to_string(frame.wire));
}

void MuxSession::Bad(const std::string& why) {
  if (bad_) return;
  bad_ = true;
  partial_ = false;
  server_->CountBadBytes(connection_.peer(), why);
}

void MuxSession::Resume() {
  if (removed_ || bad_ || connection_.closing() || !connection_.paused()) return;
  if (state_ == State::kSecuring) return;
  if (!MayRead()) {
    if (Unsent() <= options().max_connection_bytes) server_->HoldBack(this);
    return;
  }
  server_->Free(this);
  moved_ = Now();
  connection_.ResumeReading();
}

// --- messages out ---

void MuxSession::Say(Type type, uint32_t tag, std::string_view body) {
  const std::string bytes = mux::ShowMessage(type, tag, body);
  server_->metrics().sent_bytes->Add(bytes.size());
  connection_.Write(base::Buffer::Copy(bytes));
}

void MuxSession::SayError(uint32_t tag, std::string_view why) {
  server_->mux().errors->Add();
  Say(Type::kRerr, tag, why);
}

void MuxSession::OnEnded(call::Call* call) {
  server_->metrics().calls.Record(*call, call->start, Now());
  // A cancelled one is with whoever cancelled it.
  if (call->end() == call::End::kCancelled || removed_ || connection_.closed()) return;
  Dispatch* dispatch = calls_.Find(call->tag);
  if (!dispatch || dispatch->call.get() != call) return;
  last_used_ = Now();
  const uint32_t tag = call->tag;
  Answer(tag, dispatch);
  Finish(tag);
  const bool over = Unsent() > options().max_connection_bytes;
  if (over && server_->full()) {
    // The replies to what it has asked for come whether it takes them or not.
    over_ = true;
    server_->loop()->AtTurnEnd(this);
  }
  if (in_bytes_) return;
  if (over && !connection_.paused()) connection_.PauseReading();
  Watch();
  CloseIfDone();
}

void MuxSession::Answer(uint32_t tag, Dispatch* dispatch) {
  const call::Call& call = *dispatch->call;
  if (call.end() == call::End::kFailed) return AnswerFailure(tag, *dispatch);
  if (call.end() == call::End::kReplied) return AnswerReply(tag, dispatch);
  AnswerWith(tag, dispatch->old, ReplyStatus::kOk, kNoContexts, {});  // a oneway
}

void MuxSession::AnswerReply(uint32_t tag, Dispatch* dispatch) {
  call::Call* call = dispatch->call.get();
  std::string headers;  // nearly always empty: status and contexts
  if (call::HasReplyHeaders(*call)) {
    call::WriteReplyHeaders(call, call::HeaderForm::kMux, 0, &headers);
  }
  const std::string_view contexts =
      headers.empty() ? kNoContexts : std::string_view(headers).substr(1);
  server_->metrics().response_bytes->Record(call->reply.size());
  if (call->reply_is_error) {
    return AnswerWith(tag, dispatch->old, ReplyStatus::kError, contexts, std::move(call->reply));
  }
  call->reply.TrimFront(kLength);
  AnswerWith(tag, dispatch->old, ReplyStatus::kOk, contexts, std::move(call->reply));
}

void MuxSession::AnswerFailure(uint32_t tag, const Dispatch& dispatch) {
  const call::Call& call = *dispatch.call;
  server_->metrics().router_errors->Add();
  // What a backend may have done is not sent again.
  const bool nack =
      base::RowOf(call.failed_code).mux_nack && call.failed_step != call::Step::kReply;
  if (nack) return Nack(tag, dispatch.old, true);
  if (call.opaque || call.oneway()) {
    return AnswerWith(tag, dispatch.old, ReplyStatus::kError, kNoContexts,
                      base::Buffer::Copy(call.failure));
  }
  base::Buffer frame = FailureFrame(call, server_->loop()->arena());
  frame.TrimFront(kLength);
  AnswerWith(tag, dispatch.old, ReplyStatus::kOk, kNoContexts, std::move(frame));
}

void MuxSession::Nack(uint32_t tag, bool old, bool with_flags) {
  server_->mux().nacks->Add();
  if (!with_flags) return AnswerWith(tag, old, ReplyStatus::kNack, kNoContexts, {});
  const std::string flags = mux::ShowFailureFlags(mux::kRetryable | mux::kRejected);
  mux::DispatchReply reply;
  reply.contexts = {{base::kMuxFailureKey, flags}};
  std::string bytes;
  mux::EncodeDispatchReply(reply, &bytes);
  AnswerWith(tag, old, ReplyStatus::kNack, std::string_view(bytes).substr(1), {});
}

// `contexts`: their count and they, as they stand in a Rdispatch; a Rreq has none.
void MuxSession::AnswerWith(uint32_t tag, bool old, ReplyStatus status, std::string_view contexts,
                            base::Buffer payload) {
  if (old) contexts = {};
  const Type type = old ? Type::kRreq : Type::kRdispatch;
  const auto head = static_cast<uint32_t>(1 + contexts.size());
  const uint64_t body = head + payload.size();
  const bool whole = old || splitter_.Whole(body);
  const uint32_t front = whole ? mux::kHeadBytes : 0;
  base::Slice slice = server_->loop()->arena()->Allot(front + head);
  if (whole) mux::WriteHead(type, tag, false, body, slice.data());
  slice.data()[front] = static_cast<char>(status);
  std::copy(contexts.begin(), contexts.end(), slice.data() + front + 1);
  payload.Prepend(std::move(slice));
  server_->metrics().sent_bytes->Add(mux::kHeadBytes + body);
  if (whole) return connection_.Write(std::move(payload));
  payload.Compact();
  splitter_.Add(type, tag, std::move(payload));
  server_->loop()->AtTurnEnd(this);
}

void MuxSession::Finish(uint32_t tag) {
  Dispatch* dispatch = calls_.Find(tag);
  auto call = std::move(dispatch->call);
  calls_.Remove(tag);
  server_->mux().tags->Add(-1);
  if (in_bytes_) {
    ended_.push_back(std::move(call));
  } else {
    server_->GiveBack(std::move(call));
  }
}

// Large replies go out piece by piece, as the client takes them.
void MuxSession::Pump() {
  while (!splitter_.empty() && connection_.unsent() < kPumpRoom) {
    connection_.Write(splitter_.Next(server_->loop()->arena()));
  }
  // Once more when the connection, whose turn may come after ours, has written; if it cannot, it
  // tells by OnFlushed.
  if (!splitter_.empty() && !connection_.blocked()) server_->loop()->AtTurnEnd(this);
}

void MuxSession::OnTurnEnd() {
  if (removed_ || connection_.closed()) return;
  if (std::exchange(over_, false) && Unsent() > options().max_connection_bytes) {
    server_->CountBadBytes(connection_.peer(), "takes no replies, and memory is short");
    return Abandon();
  }
  const uint64_t before = splitter_.fragments();
  Pump();
  server_->mux().fragments_sent->Add(splitter_.fragments() - before);
  Resume();
  Watch();
  CloseIfDone();
}

void MuxSession::OnFlushed() {
  if (state_ == State::kSecuring && !removed_) return GoOverToTls();
  OnTurnEnd();
}

// --- a reply that is not held whole by its backend's session: it is held here ---

void MuxSession::OnReplyBegun(call::Call* call) {
  if (removed_ || connection_.closed()) return;
  call->reply.Compact();
  call->reply_header_bytes.Compact();
  call->reply_body.sink = this;
  call->reply_body.source->OnBodyRoom(call);
}

bool MuxSession::OnBody(call::Call* call, base::Buffer bytes) {
  bytes.Compact();
  call->reply.Append(std::move(bytes));
  if (!server_->full()) return true;
  call->TimeOut(base::Status(base::Code::kUnavailable, "over maxBufferedBytes with a large reply"));
  return false;
}

}  // namespace trestle::server
