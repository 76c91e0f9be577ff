// DispatchReader: makes a call of a Tdispatch or Treq: cuts off what stands before the payload, and
// reads the envelope of the Thrift message in it.
//
// Lifetime: one for each mux session. Threading: that of its session. Errors: told as a text; the
// session goes on, as its frames are whole.
#pragma once

#include <string>

#include "base/buffer.h"
#include "call/call.h"
#include "mux/frame.h"
#include "server/options.h"

namespace trestle::server {

class DispatchReader {
 public:
  explicit DispatchReader(base::Arena* arena) : arena_(arena) {}

  enum class Found {
    kCall,       // the parts of `call` that tell of the request are filled
    kNoMessage,  // what stands before the payload does not parse: no call can be made of it
    kNoThrift,   // the payload is no Thrift call; why() tells
  };
  // Takes the body of `frame`.
  Found Take(mux::Frame* frame, const Options& options, call::Call* call);
  const std::string& why() const { return why_; }

 private:
  bool TakeHeader(mux::Frame* frame, call::Call* call);
  bool TakeOldHeader(mux::Frame* frame, call::Call* call);
  bool TakeEnvelope(const Options& options, call::Call* call);
  void Name(call::Call* call);
  bool Wrong(const char* what, const char* why);

  base::Arena* arena_;
  mux::Dispatch dispatch_;  // keeps the memory of its lists
  std::string trace_;
  std::string why_;
};

}  // namespace trestle::server
