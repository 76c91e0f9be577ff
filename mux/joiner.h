// Joiner: puts the fragments of messages together again, tag by tag.
//
// Small pieces are copied together, as each would hold on to the memory that it was read into;
// large ones and last ones are handed on.
//
// Lifetime: one for each direction of a session. Threading: that of its session. Errors:
// kMalformed is final for the session; why() tells the reason.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "base/buffer.h"
#include "mux/frame.h"

namespace trestle::mux {

class Joiner {
 public:
  struct Bounds {
    uint64_t message_bytes = 16'384'000;  // of one message
    uint64_t all_bytes = 32'768'000;      // of all that are not whole
    uint32_t messages = 1024;             // that are not whole
  };
  explicit Joiner(const Bounds& bounds) : bounds_(bounds) {}

  // Takes a message. kOk: `frame` is whole now (it was no fragment, or the last one: then its body
  // has all pieces). kNeedMore: it was kept. kMalformed: over a bound, a fragment of a type that is
  // not split, or one whose type is not that of the pieces before it. A whole message of a type
  // that is not split passes even if its tag has pieces here: the session says whether it ends
  // them.
  Outcome Take(Frame* frame);
  // Whether there is room for `frame` beside all that is not whole. Who asks first may go on
  // without it: by dropping the pieces of its tag, and all that come.
  bool HasRoomFor(const Frame& frame) const;
  // Forgets the pieces of `tag`; false when there were none.
  bool Drop(uint32_t tag);
  // Pieces of `tag` are here.
  bool Has(uint32_t tag) const { return parts_.contains(tag); }
  bool empty() const { return parts_.empty(); }
  size_t messages() const { return parts_.size(); }
  uint64_t bytes() const { return bytes_; }
  const std::string& why() const { return why_; }

 private:
  struct Part {
    Type type;
    base::Buffer body;
    base::Slice room;  // the free part of the Block that small pieces are copied into
    void Add(base::Buffer piece);
    void Copy(const base::Buffer& piece);
  };
  using Parts = std::map<uint32_t, Part>;
  Outcome Keep(Frame* frame);
  Outcome Finish(Parts::iterator it, Frame* frame);
  Outcome Malformed(const char* why);

  Bounds bounds_;
  Parts parts_;
  uint64_t bytes_ = 0;
  std::string why_;
};

}  // namespace trestle::mux
