#include "server/dispatch_reader.h"

#include <utility>

#include "call/crossing.h"
#include "mux/message.h"
#include "server/decode_front.h"
#include "thrift/frame.h"
#include "thrift/lookalike.h"
#include "thrift/message.h"

namespace trestle::server {
namespace {

using base::DecodeResult;
using base::Outcome;

constexpr uint32_t kLength = 4;  // bytes of a frame's length
constexpr uint32_t kEnvelope = thrift::MaxEnvelopeSize(thrift::kMaxNameBytes);
constexpr uint32_t kHeader = mux::kMaxHeaderBytes + 1;

}  // namespace

DispatchReader::Found DispatchReader::Take(mux::Frame* frame, const Options& options,
                                           call::Call* call) {
  call->request_bytes = static_cast<uint32_t>(frame->body.size());
  call->walked = false;
  const bool read =
      frame->type == mux::Type::kTreq ? TakeOldHeader(frame, call) : TakeHeader(frame, call);
  if (!read) return Found::kNoMessage;
  call->request = std::move(frame->body);
  const auto size = static_cast<uint32_t>(call->request.size());
  const bool thrift = TakeEnvelope(options, call);
  base::Slice length = arena_->Allot(kLength);
  thrift::WriteU32(length.data(), size);
  call->request.Prepend(std::move(length));
  if (options.port != Options::Port::kMux) return thrift ? Found::kCall : Found::kNoThrift;
  // Anything may be in it, and in its reply; only a Thrift backend needs to know what.
  call->opaque = true;
  if (!thrift || call->envelope.old_form) {
    call->envelope = {};
    call->method.clear();
  }
  return Found::kCall;
}

bool DispatchReader::TakeHeader(mux::Frame* frame, call::Call* call) {
  uint32_t size = 0;
  DecodeResult r = DecodeFront(&frame->body, 0, kHeader, [&](std::string_view bytes) {
    dispatch_.Clear();
    return mux::DecodeDispatch(bytes, &dispatch_, &size);
  });
  if (r.outcome != Outcome::kOk) {
    return Wrong("bad Tdispatch", r.outcome == Outcome::kNeedMore ? "cut off" : r.why);
  }
  call->header_bytes = frame->body.Split(size);
  Name(call);
  return true;
}

// What a Treq brings is written down as a Tdispatch would bring it.
bool DispatchReader::TakeOldHeader(mux::Frame* frame, call::Call* call) {
  uint32_t size = 0;
  dispatch_.Clear();
  DecodeResult r = DecodeFront(&frame->body, 0, kHeader, [&](std::string_view bytes) {
    dispatch_.Clear();
    return mux::DecodeOldRequest(bytes, &trace_, &dispatch_, &size);
  });
  if (r.outcome != Outcome::kOk) {
    return Wrong("bad Treq", r.outcome == Outcome::kNeedMore ? "cut off" : r.why);
  }
  std::string bytes;
  mux::EncodeDispatch(dispatch_, &bytes);
  frame->body.TrimFront(size);
  call->header_bytes = base::Buffer::Copy(bytes);
  dispatch_.Clear();
  mux::DecodeDispatch({call->header_bytes.Front(bytes.size()), bytes.size()}, &dispatch_, &size);
  Name(call);
  return true;
}

// The views of the header point into header_bytes.
void DispatchReader::Name(call::Call* call) {
  call->header_form = call::HeaderForm::kMux;
  call::TakeDispatch(&dispatch_, &call->header.emplace());
}

// The protocol is told by the first byte, unless the router has one.
bool DispatchReader::TakeEnvelope(const Options& options, call::Call* call) {
  if (call->request.empty()) return Wrong("no Thrift message", "an empty payload");
  char first[2] = {};
  const size_t n = call->request.CopyOut(0, first, sizeof first);
  call->protocol = options.dialect.protocol.value_or(
      thrift::CompactStart({first, n}) ? thrift::Protocol::kCompact : thrift::Protocol::kBinary);
  DecodeResult r = DecodeFront(&call->request, 0, kEnvelope, [&](std::string_view bytes) {
    return thrift::DecodeEnvelope(call->protocol, bytes, &call->envelope);
  });
  if (r.outcome == Outcome::kNeedMore) return Wrong("no Thrift message", "cut off");
  if (r.outcome != Outcome::kOk) return Wrong("no Thrift message", r.why);
  const thrift::MessageType type = call->envelope.type;
  if (type != thrift::MessageType::kCall && type != thrift::MessageType::kOneway) {
    return Wrong("no Thrift message", "neither call nor oneway");
  }
  call->method.assign(call->envelope.name);
  call->envelope.name = call->method;
  return true;
}

bool DispatchReader::Wrong(const char* what, const char* why) {
  why_ = std::string(what) + ": " + why;
  return false;
}

}  // namespace trestle::server
