// MuxRequest: the message of a call as a mux backend wants it: a Tdispatch with what goes beside
// the call, or, for servers from before it, a Treq, which has room for the trace only.
//
// Lifetime: pure, but for scratch memory of the thread. Threading: any. Errors: none; what a client
// wrote was checked by its server.
#pragma once

#include "base/buffer.h"
#include "call/call.h"
#include "call/crossing.h"

namespace trestle::backend {

struct MuxRequestForm {
  uint32_t tag = 0;
  bool old = false;  // a Treq
  bool strip_service_name = false;
};

// The whole message, with its head. The call keeps its `request`, whose bytes the result shares.
base::Buffer MakeMuxRequest(call::Call* call, const call::Onward& onward,
                            const MuxRequestForm& form, base::Arena* arena);

}  // namespace trestle::backend
