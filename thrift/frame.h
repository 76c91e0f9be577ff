// FrameDecoder: cuts `length:4 message` frames out of what was read.
//
// Lifetime: one for each connection. Threading: that of its connection. Errors: malformed is final
// for the connection; why() tells the reason.
#pragma once

#include <cstdint>
#include <string>

#include "base/buffer.h"
#include "thrift/message.h"

namespace trestle::thrift {

class FrameDecoder {
 public:
  explicit FrameDecoder(uint32_t max_frame_bytes) : max_(max_frame_bytes) {}

  // Takes the next whole frame off the front of `in`, its 4 length bytes included. kNeedMore leaves
  // `in` alone. kMalformed: a length that is negative, zero or over the bound; the reason names
  // other protocols where the bytes look like one ("looks like HTTP", "looks like a TLS hello").
  Outcome Next(base::Buffer* in, base::Buffer* frame);

  // Bytes that the frame at the front still lacks (0: not known yet), to size the next read.
  uint32_t missing() const { return missing_; }
  const std::string& why() const { return why_; }

 private:
  uint32_t max_;
  uint32_t missing_ = 0;
  std::string why_;
};

inline uint32_t ReadU32(const char* p) {
  const auto* u = reinterpret_cast<const unsigned char*>(p);
  return uint32_t{u[0]} << 24 | uint32_t{u[1]} << 16 | uint32_t{u[2]} << 8 | uint32_t{u[3]};
}
inline void WriteU32(char* p, uint32_t v) {
  p[0] = static_cast<char>(v >> 24);
  p[1] = static_cast<char>(v >> 16);
  p[2] = static_cast<char>(v >> 8);
  p[3] = static_cast<char>(v);
}

}  // namespace trestle::thrift
