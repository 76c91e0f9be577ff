// ReplyReader: cuts replies out of what a backend connection sent, framed or not, behind a header
// (TTwitter, THeader) or without, and reads their envelopes. A large framed one is given before it
// is whole, unless it was deflated.
//
// Where THeaders are spoken a framed message without one is a reply too, as Apache's servers answer
// in the form that they were asked in. Any may be deflated, whatever the request was.
//
// Lifetime: of its session. Threading: its worker's loop. Errors: kMalformed is final for the
// connection; why() tells the reason.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "backend/options.h"
#include "backend/spoken.h"
#include "base/buffer.h"
#include "call/call.h"
#include "thrift/buffered.h"
#include "thrift/frame.h"
#include "thrift/message.h"

namespace trestle::backend {

struct Reply {
  // `length:4 message`, whatever came; of a reply that is not whole its first bytes.
  base::Buffer frame;
  thrift::Envelope envelope;  // points into `frame`
  thrift::ReplyKind kind = thrift::ReplyKind::kUnknown;
  uint64_t rest = 0;  // bytes that `frame` lacks
};

class ReplyReader {
 public:
  ReplyReader(const Spoken& spoken, const Options& options);

  // Takes the next reply off the front of `in`. One of more than `hold` bytes (framed only) is
  // given as soon as its envelope and the head of its first field are there; the connection's next
  // bytes are then its rest. `arena` is for the lengths that unframed messages lack.
  thrift::Outcome Next(base::Buffer* in, uint32_t hold, base::Arena* arena, Reply* reply);
  // What stood beside the reply that was given last, if it says anything, goes to `call`.
  void GiveHeader(call::Call* call) {
    if (header_.empty()) return;
    call->reply_header_bytes = std::move(header_);
    call->reply_form = upgraded_ ? call::HeaderForm::kTTwitter : call::HeaderForm::kTHeader;
    header_.Clear();
  }
  // Only between two messages.
  void SetProtocol(thrift::Protocol protocol);
  // "bad frame: …" or "bad reply: …", with `from` in it.
  std::string Why(const std::string& from) const;
  // kMalformed, though nothing is wrong: there is more in memory than may be, and a reply that is
  // to be inflated.
  bool short_of_memory() const { return short_of_memory_; }

 private:
  // What stands between the length and the message.
  struct Beside {
    uint32_t size = 0;
    bool empty = true;  // it says nothing
    uint32_t zlib = 0;
  };

  thrift::Outcome NextFramed(base::Buffer* in, uint32_t hold, base::Arena* arena, Reply* reply);
  thrift::Outcome NextBuffered(base::Buffer* in, base::Arena* arena, Reply* reply);
  // Of a frame of which `in` has a part.
  thrift::Outcome Begin(base::Buffer* in, uint32_t hold, base::Arena* arena, Reply* reply);
  // Reads the head of `bytes` and takes the header out. `whole`: more bytes will not come.
  thrift::Outcome ReadHead(base::Buffer* bytes, bool whole, base::Arena* arena, Reply* reply);
  thrift::DecodeResult ReadHeader(base::Buffer* bytes, Beside* beside);
  thrift::DecodeResult ReadTHeader(base::Buffer* bytes, Beside* beside);
  // Puts what was deflated behind the header in the place of the frame.
  thrift::Outcome Inflate(base::Buffer* frame, const Beside& beside, base::Arena* arena);
  void TakeOut(base::Buffer* bytes, const Beside& beside, base::Arena* arena);
  thrift::Outcome Bad(const char* why);

  thrift::Framing framing_;
  thrift::Protocol protocol_;
  bool upgraded_;
  const Options& options_;
  uint32_t max_;  // bytes of a message
  thrift::FrameDecoder frames_;
  std::unique_ptr<thrift::BufferedDecoder> messages_;  // unframed only
  size_t look_at_ = 0;   // a head that was too short is read again when there is so much
  base::Buffer header_;  // of the last reply, from behind the length on; empty: it says nothing
  bool short_of_memory_ = false;
  const char* what_ = "frame";
  std::string why_;
};

}  // namespace trestle::backend
