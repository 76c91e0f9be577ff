#include "backend/mux_reply.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "backend/request_frame.h"
#include "thrift/frame.h"
#include "thrift/one_message.h"

namespace trestle::backend {
namespace {

constexpr uint32_t kLength = 4;  // bytes of a frame's length
constexpr uint32_t kHead = thrift::MaxEnvelopeSize(thrift::kMaxNameBytes);
constexpr uint32_t kFirstField = 8;  // bytes that tell what a reply is
// So much is looked at first where it does not stand in one piece.
constexpr size_t kFirstLook = 256;

mux::DecodeResult Decode(mux::Type type, std::string_view bytes, mux::DispatchReply* out,
                         uint32_t* size) {
  return type == mux::Type::kRreq ? mux::DecodeOldReply(bytes, out, size)
                                  : mux::DecodeDispatchReply(bytes, out, size);
}

}  // namespace

bool MuxReply::nacked() const {
  if (forbidden()) return false;
  if (status == mux::ReplyStatus::kNack) return true;
  return status == mux::ReplyStatus::kError && failure && (*failure & mux::kRetryable) != 0;
}

const char* ReadMuxReply(mux::Type type, base::Buffer body, MuxReply* out) {
  if (body.empty()) return "an empty message";
  static thread_local mux::DispatchReply reply;
  uint32_t size = 0;
  mux::DecodeResult r{mux::Outcome::kNeedMore};
  size_t look = std::max<size_t>(body.slice(0).size(), kFirstLook);
  for (;; look *= 4) {
    look = std::min(look, body.size());
    r = Decode(type, {body.Front(look), look}, &reply, &size);
    if (r.outcome != mux::Outcome::kNeedMore || look == body.size()) break;
  }
  if (r.outcome == mux::Outcome::kMalformed) return r.why;
  if (r.outcome == mux::Outcome::kNeedMore) return "a message too short for its contexts";
  out->status = reply.status;
  out->failure = mux::FailureFlags(reply.contexts);
  const bool kept = !reply.contexts.empty();
  reply.contexts.clear();
  if (kept) {
    out->headers = body.Split(size);
  } else {
    body.TrimFront(size);
  }
  out->payload = std::move(body);
  return nullptr;
}

const char* MakeReplyFrame(const call::Call& call, uint32_t max_bytes, bool verify_seqid,
                           base::Arena* arena, base::Buffer* payload, thrift::ReplyKind* kind) {
  if (payload->size() > max_bytes) return "a message over maxFrameBytes";
  const size_t n = std::min<size_t>(payload->size(), kHead + kFirstField);
  thrift::Envelope envelope;
  if (!call.opaque) {
    const std::string_view head(payload->Front(n), n);
    thrift::DecodeResult r = thrift::DecodeEnvelope(call.protocol, head, &envelope);
    if (r.outcome == thrift::Outcome::kMalformed) return r.why;
    if (r.outcome == thrift::Outcome::kNeedMore) return "a payload too short for its message";
    if (const char* why = Mismatch(call, envelope, true)) return why;
    // The tag says whose it is, and the seqid of a result has to agree: a second answer to a call
    // may come under a tag that is another's by then.
    if (verify_seqid && envelope.type == thrift::MessageType::kReply &&
        envelope.seqid != call.envelope.seqid) {
      return "a reply with another seqid";
    }
    *kind = thrift::ClassifyReply(call.protocol, envelope.type, head.substr(envelope.size));
  }
  base::Slice length = arena->Allot(kLength);
  thrift::WriteU32(length.data(), static_cast<uint32_t>(payload->size()));
  payload->Prepend(std::move(length));
  if (call.opaque) return nullptr;
  if (call.walked) {
    thrift::OneMessage check(call.protocol, payload->size() - kLength - envelope.size);
    if (const char* why = check.Feed(*payload, kLength + envelope.size)) return why;
  }
  if (envelope.seqid != call.envelope.seqid || envelope.old_form != call.envelope.old_form) {
    RestoreEnvelope(payload, envelope, call, arena);
  }
  return nullptr;
}

}  // namespace trestle::backend
