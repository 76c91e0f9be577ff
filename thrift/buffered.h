// BufferedDecoder: cuts messages out of a stream that does not say how long they are: the end of
// one is found by walking its fields.
//
// Lifetime: one for each connection. Threading: that of its connection. Errors: malformed is final
// for the connection; why() tells the reason.
#pragma once

#include <cstdint>
#include <string>

#include "base/buffer.h"
#include "thrift/message.h"
#include "thrift/walk.h"

namespace trestle::thrift {

class BufferedDecoder {
 public:
  BufferedDecoder(Protocol protocol, uint32_t max_message_bytes)
      : protocol_(protocol), max_(max_message_bytes), walker_(protocol) {}

  // Takes the next whole message off the front of `in`; it has no length in front. kNeedMore leaves
  // `in` alone and remembers how far it was walked: between two calls bytes may only be added at
  // its end. `with_header`: a TTwitter header (a struct) stands before the message and is given
  // with it; it is asked for at a message's first byte and holds to its end. Bounded as Walker is,
  // and by max_message_bytes for header and message together.
  Outcome Next(base::Buffer* in, bool with_header, base::Buffer* message);

  // Whether the message at the front has begun.
  bool begun() const { return walked_ > 0; }
  const std::string& why() const { return why_; }

 private:
  enum class Part : uint8_t { kHeader, kEnvelope, kBody, kEnd };

  void Begin(bool with_header);
  // Takes bytes of the part that is being read from the front of `rest`; kOk: that part is done.
  Outcome Take(std::string_view rest, size_t* used);
  Outcome TakeEnvelope(std::string_view rest, size_t* used);
  Outcome Fail(std::string why);
  Outcome FailOver();
  uint64_t Room() const { return max_ - walked_; }

  Protocol protocol_;
  Part part_ = Part::kEnvelope;
  uint32_t max_;
  size_t walked_ = 0;
  Walker walker_;
  std::string head_;  // an envelope whose bytes came in pieces
  std::string why_;
};

}  // namespace trestle::thrift
