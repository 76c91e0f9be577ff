// RequestFrame: the bytes of a call as one backend connection wants them: with the connection's
// seqid, the name it knows, a TTwitter header if it was upgraded, or a THeader, and a length if it
// is framed.
//
// Lifetime: pure. Threading: any. Errors: none; what a client wrote was checked by its server.
#pragma once

#include "backend/spoken.h"
#include "base/buffer.h"
#include "call/call.h"
#include "call/crossing.h"

namespace trestle::backend {

// `onward` has the connection's seqid, and how what goes beside the call is written. The call keeps
// its `request`, whose bytes the result shares. Of a call that is not held whole: the first bytes,
// with the length of all in front where there is one; it cannot be deflated.
base::Buffer MakeRequestFrame(call::Call* call, const Spoken& spoken, const call::Onward& onward,
                              base::Arena* arena);

// Gives the message of `frame` the caller's seqid and form. `envelope` is that of the backend.
void RestoreEnvelope(base::Buffer* frame, const thrift::Envelope& envelope, const call::Call& call,
                     base::Arena* arena);

// Why a message with this envelope cannot be the reply to `call`; nullptr when it can: a reply with
// the name that was sent or its part behind the ':', or an exception; that too needs the name (or
// none) unless it is `known` by something else, its seqid or tag, to belong to the call.
const char* Mismatch(const call::Call& call, const thrift::Envelope& envelope, bool known);

}  // namespace trestle::backend
