// EchoMessage: the call that the load driver makes, and the one right reply to it: binary, the
// payload as field 1 there and field 0 back; framed, or in mux.
//
// In mux a call is what a Finagle client sends: a Tdispatch with a trace and a count of retries,
// without destination and dtab; the reply is an Rdispatch without contexts.
//
// Written from the wire format and nothing of the router's, so that a fault of its codec cannot
// hide behind the same fault here. Lifetime: outlives the ReplyChecks made with it. Threading:
// read-only once made. Errors: none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace trestle::bench {

enum class Dialect { kFramed, kMux };

class EchoMessage {
 public:
  EchoMessage(Dialect dialect, std::string_view name, uint32_t payload_bytes);

  // What differs from one call to the next; tag and trace are of mux only.
  struct Ids {
    uint32_t seqid = 0, tag = 0;
    uint64_t trace = 0;
  };
  // Adds a call to `out`.
  void AppendCall(const Ids& ids, std::string* out) const;
  Dialect dialect() const { return dialect_; }
  size_t call_bytes() const { return call_.size(); }
  size_t reply_bytes() const { return reply_.bytes.size(); }

 private:
  friend class ReplyCheck;
  // What a message ought to be, but for numbers in it.
  struct Hole {
    size_t at, size;
    uint32_t Ids::*number;
  };
  struct Pattern {
    std::string bytes;
    std::vector<Hole> holes;  // the first one first
  };

  Dialect dialect_;
  std::string call_;
  size_t seqid_at_ = 0, trace_at_ = 0;  // in a call
  Pattern reply_, ping_;
};

// Compares what comes on one connection with the replies that ought to come, wherever the reads cut
// them; every byte is looked at. In mux a Tping may stand between two replies.
class ReplyCheck {
 public:
  enum class Outcome { kMore, kWhole, kPing, kWrong };
  explicit ReplyCheck(const EchoMessage* message) : message_(message), pattern_(&message->reply_) {}

  // Goes on with `bytes`, up to the end of one message at most; *used tells how far it came.
  // kWhole, kPing: a reply or a Tping is whole, with these ids(). kWrong: the byte behind *used is
  // not as it ought to be.
  Outcome Feed(std::string_view bytes, size_t* used);
  const EchoMessage::Ids& ids() const { return ids_; }
  size_t at() const { return at_; }  // bytes of the message seen so far

 private:
  bool Step(std::string_view bytes, size_t* used);
  bool MayBePing();

  const EchoMessage* message_;
  const EchoMessage::Pattern* pattern_;
  size_t at_ = 0, hole_ = 0;
  EchoMessage::Ids ids_;
};

}  // namespace trestle::bench
