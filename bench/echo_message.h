// EchoMessage: the call that the load driver makes, and the one right reply to it: framed, binary,
// the payload as field 1 there and field 0 back.
//
// Written from the wire format and nothing of the router's, so that a fault of its codec cannot
// hide behind the same fault here. Lifetime: outlives the ReplyChecks made with it. Threading:
// read-only once made. Errors: none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace trestle::bench {

class EchoMessage {
 public:
  EchoMessage(std::string_view name, uint32_t payload_bytes);

  // Adds the frame of a call to `out`.
  void AppendCall(uint32_t seqid, std::string* out) const;
  // The frame of the right reply; whatever stands at seqid_at is no part of it.
  const std::string& reply() const { return reply_; }
  size_t seqid_at() const { return seqid_at_; }

 private:
  std::string call_, reply_;
  size_t seqid_at_ = 0;
};

// Compares what comes on one connection with the replies that ought to come, wherever the reads cut
// them; every byte is looked at.
class ReplyCheck {
 public:
  enum class Outcome { kMore, kWhole, kWrong };
  explicit ReplyCheck(const EchoMessage* message) : message_(message) {}

  // Goes on with `bytes`, up to the end of one reply at most; *used tells how far it came. kWhole:
  // seqid() is the reply's. kWrong: the byte behind *used is not as it ought to be.
  Outcome Feed(std::string_view bytes, size_t* used);
  uint32_t seqid() const { return seqid_; }
  size_t at() const { return at_; }  // bytes of the reply seen so far

 private:
  const EchoMessage* message_;
  size_t at_ = 0;
  uint32_t seqid_ = 0;
};

}  // namespace trestle::bench
