// FrameDecoder: cuts mux messages out of what was read.
//
// Lifetime: one for each connection. Threading: that of its connection. Errors: malformed is final
// for the connection; why() tells the reason.
#pragma once

#include <cstdint>
#include <string>

#include "base/buffer.h"
#include "mux/message.h"

namespace trestle::mux {

struct Frame {
  Type type = Type::kRerr;  // the old numbers are made new
  int8_t wire = 0;          // the number as it came
  uint32_t tag = 0;         // without the top bit
  bool more = false;        // a fragment, more follow
  base::Buffer body;        // behind type and tag
};

class FrameDecoder {
 public:
  // `max_frame_bytes` bounds what the size counts: type, tag and body.
  explicit FrameDecoder(uint32_t max_frame_bytes) : max_(max_frame_bytes) {}

  // Takes the next whole message off the front of `in`. kNeedMore leaves `in` alone. kMalformed: a
  // size under 4 or over the bound, or a type that nobody defined.
  Outcome Next(base::Buffer* in, Frame* frame);

  // Bytes that the message at the front still lacks (0: not known yet).
  uint32_t missing() const { return missing_; }
  const std::string& why() const { return why_; }

 private:
  uint32_t max_;
  uint32_t missing_ = 0;
  std::string why_;
};

}  // namespace trestle::mux
