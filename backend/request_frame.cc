#include "backend/request_frame.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "thrift/frame.h"
#include "thrift/ttwitter.h"

namespace trestle::backend {
namespace {

constexpr uint32_t kLength = 4;  // bytes of a frame's length
// What a header of common size takes; more memory is given back.
constexpr size_t kKeptHeaderBytes = 16 * 1024;

// Reading and writing headers again and again costs no memory. Empty between two calls.
struct Scratch {
  thrift::RequestHeader header;
  std::string bytes;
};

// What the client sent beside goes on as it was, in both places where ids stand; only `dest` is the
// next router's or service's.
void EncodeHeader(call::Call* call, Scratch* scratch) {
  scratch->header.Clear();
  scratch->bytes.clear();
  if (call->header_bytes.size() > kLength) {
    const size_t size = call->header_bytes.size();
    std::string_view written(call->header_bytes.Front(size), size);
    uint32_t end = 0;
    thrift::DecodeResult r = thrift::DecodeRequestHeader(call->protocol, written.substr(kLength),
                                                         &scratch->header, &end);
    if (r.outcome != thrift::Outcome::kOk) scratch->header.Clear();
  }
  scratch->header.dest = call->dest.empty() ? std::string_view("/") : call->dest;
  thrift::EncodeRequestHeader(call->protocol, scratch->header, &scratch->bytes);
  scratch->header.Clear();
}

void PutHeader(base::Buffer* frame, call::Call* call, thrift::Framing framing, base::Arena* arena) {
  static thread_local Scratch scratch;
  EncodeHeader(call, &scratch);
  const auto size = static_cast<uint32_t>(scratch.bytes.size());
  const uint32_t message = thrift::ReadU32(frame->Front(kLength));
  const uint32_t length = framing == thrift::Framing::kFramed ? kLength : 0;
  base::Slice head = arena->Allot(length + size);
  if (length > 0) thrift::WriteU32(head.data(), message + size);
  std::copy(scratch.bytes.begin(), scratch.bytes.end(), head.data() + length);
  frame->TrimFront(kLength);
  frame->Prepend(std::move(head));
  if (scratch.bytes.capacity() > kKeptHeaderBytes) scratch = {};
}

}  // namespace

base::Buffer MakeRequestFrame(call::Call* call, const Spoken& spoken, int32_t seqid,
                              base::Arena* arena) {
  base::Buffer frame = call->request.Share();
  std::string_view name = call->method;
  if (spoken.strip_service_name) name = call::BareMethod(call->method);
  if (name.size() == call->method.size()) {
    call::PutSeqid(&frame, call->protocol, call->envelope, seqid, arena);
  } else {
    thrift::Envelope now = call->envelope;
    now.name = name;
    now.seqid = seqid;
    call::PutEnvelope(&frame, call->protocol, call->envelope, now, arena);
  }
  if (spoken.upgraded) {
    PutHeader(&frame, call, spoken.framing, arena);
  } else if (spoken.framing == thrift::Framing::kBuffered) {
    frame.TrimFront(kLength);
  }
  return frame;
}

void RestoreEnvelope(base::Buffer* frame, const thrift::Envelope& envelope, const call::Call& call,
                     base::Arena* arena) {
  if (envelope.old_form == call.envelope.old_form) {
    call::PutSeqid(frame, call.protocol, envelope, call.envelope.seqid, arena);
    return;
  }
  thrift::Envelope now = envelope;
  now.seqid = call.envelope.seqid;
  now.old_form = call.envelope.old_form;
  call::PutEnvelope(frame, call.protocol, envelope, now, arena);
}

}  // namespace trestle::backend
