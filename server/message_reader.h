// MessageReader: cuts the calls out of what a client writes: tells the dialect from the first
// bytes, finds where each message ends, and reads its header (TTwitter, THeader) and its envelope.
//
// On a connection that began with a THeader each message may have one or not, as with Apache's
// servers: a framed message without is a call like others, in the protocol of its own bytes, and is
// answered without. A connection that began without one has none later. What zlib deflated is held
// until it is whole, and inflated up to the bound on frames; where memory is short it is refused.
//
// Lifetime: one for each client connection. Threading: that of its connection. Errors: malformed is
// final for the connection; why() tells the reason.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/buffer.h"
#include "call/call.h"
#include "server/options.h"
#include "thrift/buffered.h"
#include "thrift/dialect.h"
#include "thrift/frame.h"

namespace trestle::server {

class MessageReader {
 public:
  // The dialect and the bounds of a message are those of this moment.
  MessageReader(const Options& options, base::Arena* arena);

  // Finds the next message at the front of `in`, which must not be empty. kOk: Take() comes next.
  // A framed one that is larger than the threshold is found as soon as its head is here.
  thrift::Outcome Next(base::Buffer* in);
  // Gives the message that was found: fills the parts of `call` that tell of the request.
  // False when it is malformed. What of it is not here yet is in call->request_body.rest.
  bool Take(call::Call* call);

  // From the next message on there is a TTwitter header before each.
  void Upgrade() { upgraded_ = true; }
  // Whether a client may ask for that: once, and of THeader never.
  bool MayUpgrade() const { return !upgraded_ && dialect_->framing != thrift::Framing::kTHeader; }
  // None before the first bytes.
  const std::optional<thrift::Dialect>& dialect() const { return dialect_; }
  const std::string& why() const { return why_; }

 private:
  bool Detect(base::Buffer* in);
  thrift::Outcome NextFramed(base::Buffer* in);
  thrift::Outcome NextBuffered(base::Buffer* in);
  // Of a message whose header was read without being taken.
  struct Head {
    thrift::Protocol protocol;
    uint32_t header = 0;  // bytes before the message
    bool deflated = false;
  };
  bool HeadIsHere(base::Buffer* in);
  thrift::DecodeResult PeekHeader(base::Buffer* in, Head* head);
  bool TakeHeader(call::Call* call);
  bool TakeTTwitter(call::Call* call);
  bool TakeTHeader(call::Call* call);
  bool Inflate(uint32_t times, base::Buffer* payload);
  bool TakeEnvelope(uint32_t skip, call::Call* call);
  void PutLength(base::Buffer* message, uint64_t length);
  bool Malformed(std::string why);
  thrift::Protocol protocol() const { return dialect_->protocol; }
  thrift::Protocol ProtocolOf(const base::Buffer& plain) const;
  bool theader() const { return dialect_->framing == thrift::Framing::kTHeader; }

  base::Arena* arena_;
  thrift::DialectHint hint_;
  uint32_t max_bytes_, threshold_;
  size_t max_buffered_;
  std::optional<thrift::Dialect> dialect_;
  thrift::FrameDecoder frames_;
  std::unique_ptr<thrift::BufferedDecoder> buffered_;  // only where it is needed: it is large
  base::Buffer found_;                                 // the message, or its first bytes
  uint64_t rest_ = 0;                                  // bytes of it that are not here
  size_t look_at_ =
      0;  // so many bytes are to be here before the head of a large one is tried again
  bool upgraded_ = false;
  std::string why_;
};

}  // namespace trestle::server
