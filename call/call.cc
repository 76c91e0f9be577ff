#include "call/call.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

#include "call/one_line.h"
#include "mux/message.h"
#include "thrift/frame.h"

namespace trestle::call {
namespace {

constexpr uint32_t kLength = 4;        // bytes of a frame's length
constexpr size_t kMostIdentity = 256;  // bytes of it in a text
constexpr size_t kMostFailure = 4096;  // bytes of its text

}  // namespace

const char* StepName(Step step) {
  static constexpr const char* kNames[] = {"identify", "bind",     "balance",
                                           "connect",  "dispatch", "reply"};
  return kNames[static_cast<size_t>(step)];
}

std::string_view BareMethod(std::string_view message_name) {
  size_t colon = message_name.find(':');
  if (colon == std::string_view::npos || colon + 1 == message_name.size()) return message_name;
  if (message_name.find(':', colon + 1) != std::string_view::npos) return message_name;
  return message_name.substr(colon + 1);
}

void Call::EndWith(End end) {
  assert(end_ == End::kOpen);
  end_ = end;
  holder = nullptr;
  if (timer) timer->Cancel();
  if (observer) observer->OnEnded(this);
  if (sink) sink->OnEnded(this);
}

void Call::Reply(base::Buffer frame, thrift::ReplyKind kind) {
  reply = std::move(frame);
  reply_kind = kind;
  EndWith(End::kReplied);
}

void Call::BeginReply(base::Buffer head, thrift::ReplyKind kind, uint64_t rest,
                      BodySource* source) {
  reply = std::move(head);
  reply_kind = kind;
  reply_body = {rest, source, nullptr};
  reply_begun_ = true;
  if (sink) sink->OnReplyBegun(this);
}

void Call::ReplyError(base::Buffer payload) {
  if (header_form != HeaderForm::kMux) {
    constexpr size_t kMostText = 1024;
    if (payload.size() > kMostText) payload = payload.Split(kMostText);
    reply_header_bytes.Clear();
    return Fail(Step::kReply,
                base::Status(base::Code::kUnavailable,
                             "the backend answered with an error: " + payload.ToString()));
  }
  reply_is_error = true;
  Reply(std::move(payload), thrift::ReplyKind::kUnknown);
}

void Call::Withdraw(const base::Status& status) {
  assert(end_ == End::kReplied);
  reply.Clear();
  reply_is_error = false;
  SetFailure(Step::kReply, status);
  end_ = End::kFailed;
}

void Call::Fail(Step at, const base::Status& status) {
  SetFailure(at, status);
  EndWith(End::kFailed);
}

void Call::SetFailure(Step at, const base::Status& status) {
  failed_step = at;
  failed_code = status.code();
  reply_header_bytes.Clear();  // of a reply that broke off
  failure = std::string("trestle: ") + StepName(at);
  if (logical) failure += ": " + *logical;
  if (concrete) failure += ": " + *concrete;
  failure += ": " + status.message();
  if (identity) failure += " (call of " + identity->substr(0, kMostIdentity) + ")";
  failure = OneLine(failure, kMostFailure);
}

void Call::ClearContext(bool keep_dest) {
  if (!header) return;
  hops = HopsOf(*header);
  if (!keep_dest) return DropHeader();
  const std::string where(header->dest.value_or(std::string_view()));
  DropHeader();
  mux::Dispatch kept;
  kept.dst = where;
  std::string bytes;
  mux::EncodeDispatch(kept, &bytes);
  header_bytes = base::Buffer::Copy(bytes);
  header.emplace().dest = header_bytes.Whole().substr(bytes.find(where), where.size());
}

void Call::KeepOfDtab(std::string left) {
  dtab_left = std::move(left);
  header->delegations.clear();
  header->dtab = *dtab_left;
}

void Call::OnewayDone() { EndWith(End::kOneway); }

void Call::Cancel() {
  if (ended()) return;
  if (holder) std::exchange(holder, nullptr)->OnCancel(this);
  EndWith(End::kCancelled);
}

void Call::TimeOut(const base::Status& status) {
  if (ended()) return;
  out_of_time = status.code() == base::Code::kTimeout;
  if (holder) std::exchange(holder, nullptr)->OnCancel(this);
  Fail(step, status);
}

void Call::Reset() {
  assert(!in_);
  request.Clear();
  request_body = reply_body = {};
  streamed = reply_begun_ = walked = opaque = false;
  envelope = {};
  DropHeader();
  dtab_left.reset();
  header_form = reply_form = HeaderForm::kNone;
  with_header = false;
  theader_flags = 0;
  deadline.reset();
  hops = 0;
  dest.clear();
  default_dest = identity = logical = concrete = nullptr;
  reply.Clear();
  reply_header_bytes.Clear();
  reply_is_error = timed_by_caller = false;
  failure.clear();
  holder = nullptr;
  sink = observer = nullptr;
  name = service = client = metrics = nullptr;
  step = Step::kIdentify;
  out_of_time = false;
  attempts = tried_count = 0;
  waiting_bytes = 0;
  idempotent = false;
  end_ = End::kOpen;
}

Queue::~Queue() {
  while (first_) Pop();
}

void Queue::Push(Call* call) {
  assert(!call->in_);
  call->in_ = this;
  call->next_ = nullptr;
  call->previous_ = last_;
  (last_ ? last_->next_ : first_) = call;
  last_ = call;
  ++size_;
}

Call* Queue::Pop() {
  Call* call = first_;
  if (call) Remove(call);
  return call;
}

void Queue::Remove(Call* call) {
  if (call->in_ != this) return;
  (call->previous_ ? call->previous_->next_ : first_) = call->next_;
  (call->next_ ? call->next_->previous_ : last_) = call->previous_;
  call->next_ = call->previous_ = nullptr;
  call->in_ = nullptr;
  --size_;
}

void Queue::TakeAll(Queue* other) {
  while (Call* call = other->Pop()) Push(call);
}

void PutSeqid(base::Buffer* frame, thrift::Protocol protocol, const thrift::Envelope& envelope,
              int32_t seqid, base::Arena* arena) {
  if (protocol == thrift::Protocol::kBinary) {
    char* head = frame->Front(kLength + envelope.size);
    thrift::PatchBinarySeqid(head + kLength, envelope, seqid);
    return;
  }
  thrift::Envelope now = envelope;
  now.seqid = seqid;
  PutEnvelope(frame, protocol, envelope, now, arena);
}

void PutEnvelope(base::Buffer* frame, thrift::Protocol protocol, const thrift::Envelope& was,
                 const thrift::Envelope& now, base::Arena* arena) {
  uint32_t size = thrift::EnvelopeSize(protocol, now.name, now.seqid, now.old_form);
  uint32_t whole = thrift::ReadU32(frame->Front(kLength)) - was.size + size;
  base::Slice head =
      arena->Allot(kLength + size);  // before the old one goes: `now` may point there
  thrift::WriteU32(head.data(), whole);
  thrift::EncodeEnvelope(protocol, now.type, now.name, now.seqid, head.data() + kLength,
                         now.old_form);
  frame->TrimFront(kLength + was.size);
  frame->Prepend(std::move(head));
}

}  // namespace trestle::call
