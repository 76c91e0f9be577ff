// Splitter: writes messages in the pieces that a peer wants, one piece of each waiting message in
// turn, so that a large message does not hold up small ones.
//
// Lifetime: one for each session. Threading: that of its session. Errors: none.
#pragma once

#include <cstdint>
#include <deque>

#include "base/buffer.h"
#include "mux/message.h"

namespace trestle::mux {

class Splitter {
 public:
  // The largest body that the peer takes in one frame, over 0; UINT32_MAX: no limit. Holds from the
  // next piece on.
  void set_piece(uint32_t bytes) { piece_ = bytes; }
  uint32_t piece() const { return piece_; }

  // Whether a message of this body goes out in one piece: such a one needs no Splitter.
  bool Whole(uint64_t body) const { return body <= piece_; }
  // Puts a message in line. `body` is what stands behind type and tag. One of a type that is not
  // split goes out whole when its turn comes.
  void Add(Type type, uint32_t tag, base::Buffer body);
  // The next piece, with its head; only when not empty.
  base::Buffer Next(base::Arena* arena);
  // Takes the message out of line. False when it is not there; `*begun` tells whether a piece of
  // it was given already.
  bool Drop(uint32_t tag, bool* begun);
  bool empty() const { return waiting_.empty(); }
  // Bytes that wait.
  uint64_t bytes() const { return bytes_; }
  // Pieces given so far that were not the whole message, last ones too.
  uint64_t fragments() const { return fragments_; }

 private:
  struct Message {
    Type type;
    uint32_t tag;
    bool begun;
    base::Buffer body;
  };
  uint32_t piece_ = UINT32_MAX;
  std::deque<Message> waiting_;
  uint64_t bytes_ = 0, fragments_ = 0;
};

}  // namespace trestle::mux
