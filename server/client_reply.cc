#include "server/client_reply.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "call/crossing.h"
#include "thrift/frame.h"
#include "thrift/message.h"
#include "thrift/ttwitter.h"

namespace trestle::server {
namespace {

constexpr uint32_t kLength = 4;  // bytes of a frame's length
// What a header of common size takes; more memory is given back.
constexpr size_t kKeptHeaderBytes = 16 * 1024;

base::Buffer Framed(std::string_view message, base::Arena* arena) {
  const auto size = static_cast<uint32_t>(message.size());
  base::Slice slice = arena->Allot(kLength + size);
  thrift::WriteU32(slice.data(), size);
  std::copy(message.begin(), message.end(), slice.data() + kLength);
  return base::Buffer(std::move(slice));
}

// What stands before the message; most ResponseHeaders are empty. `scratch` may hold it.
std::string_view HeaderOf(call::Call* call, std::string* scratch) {
  if (!call->with_header) return {};
  if (call->header_form == call::HeaderForm::kTTwitter && !call::HasReplyHeaders(*call)) {
    return thrift::kEmptyResponseHeader;
  }
  scratch->clear();
  call::WriteReplyHeaders(call, call->header_form, call->theader_flags, scratch);
  return *scratch;
}

}  // namespace

base::Buffer ForClient(call::Call* call, thrift::Framing framing, base::Buffer frame,
                       base::Arena* arena) {
  const bool framed = framing != thrift::Framing::kBuffered;
  if (framed && !call->with_header) return frame;
  static thread_local std::string scratch;
  // The call came with a header (those up to the upgrade did not): so does its reply.
  const std::string_view header = HeaderOf(call, &scratch);
  const auto size = static_cast<uint32_t>(header.size());
  const uint32_t length = thrift::ReadU32(frame.Front(kLength));
  const uint32_t before = framed ? kLength : 0;
  frame.TrimFront(kLength);
  if (before + size == 0) return frame;
  base::Slice head = arena->Allot(before + size);
  if (framed) thrift::WriteU32(head.data(), length + size);
  std::copy(header.begin(), header.end(), head.data() + before);
  frame.Prepend(std::move(head));
  if (scratch.capacity() > kKeptHeaderBytes) scratch = {};
  return frame;
}

base::Buffer FailureFrame(const call::Call& call, base::Arena* arena) {
  return Framed(thrift::EncodeApplicationException(call.protocol, call::BareMethod(call.method),
                                                   call.envelope.seqid,
                                                   base::RowOf(call.failed_code).thrift_type,
                                                   call.failure, call.envelope.old_form),
                arena);
}

base::Buffer UpgradeFrame(const call::Call& call, base::Arena* arena) {
  const std::string reply = thrift::EncodeUpgradeReply(call.protocol, call.envelope.seqid);
  base::Buffer frame = Framed(reply, arena);
  if (!call.envelope.old_form) return frame;
  thrift::Envelope was;
  thrift::DecodeEnvelope(call.protocol, reply, &was);
  thrift::Envelope now = was;
  now.old_form = true;
  call::PutEnvelope(&frame, call.protocol, was, now, arena);
  return frame;
}

}  // namespace trestle::server
