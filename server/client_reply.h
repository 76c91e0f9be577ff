// What goes to a client, in the form that the client used: the bytes of replies, with or without a
// length and a ResponseHeader or THeader, and the replies that the router makes itself.
//
// Lifetime, threading: pure, but for the arena that small heads are written into. Errors: none.
#pragma once

#include "base/buffer.h"
#include "call/call.h"
#include "thrift/dialect.h"

namespace trestle::server {

// `frame`: `length:4 message`, or the first bytes of it, as in Call::reply; gives what is written.
// A call with a header has a reply with one, and in it what the backend sent beside the message.
base::Buffer ForClient(call::Call* call, thrift::Framing framing, base::Buffer frame,
                       base::Arena* arena);
// `length:4 message` that tells of a failed call.
base::Buffer FailureFrame(const call::Call& call, base::Arena* arena);
// `length:4 message` that accepts the upgrade to TTwitter.
base::Buffer UpgradeFrame(const call::Call& call, base::Arena* arena);

}  // namespace trestle::server
