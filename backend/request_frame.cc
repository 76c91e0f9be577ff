#include "backend/request_frame.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "thrift/frame.h"
#include "thrift/theader.h"

namespace trestle::backend {
namespace {

constexpr uint32_t kLength = 4;  // bytes of a frame's length
// What a header of common size takes; more memory is given back.
constexpr size_t kKeptHeaderBytes = 16 * 1024;

// What goes beside the message comes before it; with a length in front of both where there is one.
void PutHeader(base::Buffer* frame, call::Call* call, const Spoken& spoken,
               const call::Onward& onward, base::Arena* arena) {
  static thread_local std::string header;
  header.clear();
  call::WriteRequestHeaders(call, onward, &header);
  const auto size = static_cast<uint32_t>(header.size());
  uint32_t message = thrift::ReadU32(frame->Front(kLength));
  frame->TrimFront(kLength);
  if (onward.zlib > 0) {
    *frame = thrift::Deflate(*frame);
    message = static_cast<uint32_t>(frame->size());
  }
  const uint32_t length = spoken.framing == thrift::Framing::kBuffered ? 0 : kLength;
  base::Slice head = arena->Allot(length + size);
  if (length > 0) thrift::WriteU32(head.data(), message + size);
  std::copy(header.begin(), header.end(), head.data() + length);
  frame->Prepend(std::move(head));
  if (header.capacity() > kKeptHeaderBytes) header = {};
}

}  // namespace

base::Buffer MakeRequestFrame(call::Call* call, const Spoken& spoken, const call::Onward& onward,
                              base::Arena* arena) {
  const int32_t seqid = onward.seqid;
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
  if (onward.form != call::HeaderForm::kNone) {
    PutHeader(&frame, call, spoken, onward, arena);
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

const char* Mismatch(const call::Call& call, const thrift::Envelope& envelope, bool known) {
  const bool exception = envelope.type == thrift::MessageType::kException;
  if (exception && (known || envelope.name.empty())) return nullptr;
  if (!exception && envelope.type != thrift::MessageType::kReply) {
    return "a message that is no reply";
  }
  const std::string_view sent = call.method;
  if (envelope.name == sent) return nullptr;
  const size_t colon = sent.find(':');
  if (colon != std::string_view::npos && envelope.name == sent.substr(colon + 1)) return nullptr;
  return exception ? "an exception with another name" : "a reply with another name";
}

}  // namespace trestle::backend
