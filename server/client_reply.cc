#include "server/client_reply.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "thrift/frame.h"
#include "thrift/message.h"
#include "thrift/ttwitter.h"

namespace trestle::server {
namespace {

constexpr uint32_t kLength = 4;  // bytes of a frame's length

base::Buffer Framed(std::string_view message, base::Arena* arena) {
  const auto size = static_cast<uint32_t>(message.size());
  base::Slice slice = arena->Allot(kLength + size);
  thrift::WriteU32(slice.data(), size);
  std::copy(message.begin(), message.end(), slice.data() + kLength);
  return base::Buffer(std::move(slice));
}

}  // namespace

base::Buffer ForClient(const call::Call& call, thrift::Framing framing, base::Buffer frame,
                       base::Arena* arena) {
  const bool framed = framing == thrift::Framing::kFramed;
  if (framed && !call.with_header) return frame;
  // The call came with a header (those up to the upgrade did not): so does its reply, an empty
  // ResponseHeader of one stop byte.
  const uint32_t header = call.with_header ? 1 : 0;
  const uint32_t length = thrift::ReadU32(frame.Front(kLength));
  frame.TrimFront(kLength);
  const uint32_t size = (framed ? kLength : 0) + header;
  if (size == 0) return frame;
  base::Slice head = arena->Allot(size);
  if (framed) thrift::WriteU32(head.data(), length + header);
  head.data()[size - 1] = thrift::kEmptyResponseHeader[0];
  frame.Prepend(std::move(head));
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
