// OneMessage: whether a frame holds exactly one message. Where its length is dropped or added on
// the way, whoever reads the bytes behind it finds the end by walking: a frame that says otherwise
// would put its rest before the next message.
//
// Lifetime: of one frame. Threading: none. Errors: told as a text.
#pragma once

#include <cstdint>

#include "base/buffer.h"
#include "thrift/walk.h"

namespace trestle::thrift {

class OneMessage {
 public:
  // `size`: bytes of the frame behind the message's envelope.
  OneMessage(Protocol protocol, uint64_t size);
  // Takes the next of those, from byte `from` of `bytes` on. Gives why the frame is not one
  // message, as soon as that is known (static text); nullptr: so far it is.
  const char* Feed(const base::Buffer& bytes, size_t from = 0);

 private:
  const char* Take(std::string_view bytes);

  uint64_t left_;
  bool ended_ = false;
  Walker walker_;
};

}  // namespace trestle::thrift
