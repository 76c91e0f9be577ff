// MuxReply: what a mux backend answered to a call.
//
// Lifetime: pure, but for scratch memory of the thread. Threading: any. Errors: static text.
#pragma once

#include <cstdint>
#include <optional>

#include "base/buffer.h"
#include "call/call.h"
#include "mux/message.h"

namespace trestle::backend {

struct MuxReply {
  mux::ReplyStatus status = mux::ReplyStatus::kOk;
  std::optional<uint64_t> failure;  // the bits of MuxFailure
  base::Buffer headers;             // status and contexts as they came; empty without contexts
  base::Buffer payload;

  // The call was not worked on and may go elsewhere.
  bool nacked() const;
  // Nor may it be sent again.
  bool forbidden() const { return failure && (*failure & mux::kNonRetryable) != 0; }
};

// Reads the body of an Rdispatch or Rreq. Gives why it is none; nullptr when it is.
const char* ReadMuxReply(mux::Type type, base::Buffer body, MuxReply* out);

// Makes the payload of an OK the reply `call` is to get: `length:4 payload`, of a Thrift message
// with the caller's seqid and envelope form. Gives why it cannot be the reply; nullptr when it is.
const char* MakeReplyFrame(const call::Call& call, uint32_t max_bytes, bool verify_seqid,
                           base::Arena* arena, base::Buffer* payload, thrift::ReplyKind* kind);

}  // namespace trestle::backend
