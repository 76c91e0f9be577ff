// Crossing: what goes beside a message, carried from one dialect to another. The table of what
// becomes what stands in docs/dialects.md; this is it in code.
//
// Ids and client id stand twice in TTwitter (fields, and contexts) and once elsewhere: contexts win
// where both are there, and towards TTwitter both are written. A header of the application is a key
// of THeader and an entry of the context Request.headers (Response.headers in a reply); a context
// is a key of its own name in THeader. Contexts that nobody knows go on as they came.
//
// Lifetime: pure, but for scratch memory of the thread. Threading: any. Errors: none; what a peer
// wrote was checked by the session that read it, and what does not fit the other form is left out.
#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "call/call.h"
#include "call/headers.h"
#include "mux/message.h"

namespace trestle::call {

// Sorts the keys of a THeader into what they mean.
void ReadKeys(const base::Contexts& keys, Headers* out);
// Takes what stands before the payload of a dispatch.
void TakeDispatch(mux::Dispatch* dispatch, Headers* out);

// How a call goes on.
struct Onward {
  HeaderForm form = HeaderForm::kNone;
  base::WallTime now{};
  std::optional<base::Duration> attempt_time;  // of the router's own: the deadline is lowered by it
  int32_t seqid = 0;                           // kTHeader: of the message
  uint32_t zlib = 0;                           // kTHeader: 1 when the payload is deflated
};
// Appends what goes beside `call`: a RequestHeader in the call's protocol; all of a THeader frame
// from its magic to its payload; or what stands before the payload of a dispatch.
void WriteRequestHeaders(Call* call, const Onward& onward, std::string* out);

// Whether `reply_header_bytes` have anything for a client in this form.
bool HasReplyHeaders(const Call& call);
// Appends what goes beside the reply of `call`, in the same ways; kMux: a status OK and contexts.
// `seqid`, `flags`: of a THeader.
void WriteReplyHeaders(Call* call, HeaderForm form, uint16_t flags, std::string* out);

}  // namespace trestle::call
