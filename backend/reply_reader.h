// ReplyReader: cuts replies out of what a backend connection sent, framed or not, behind a TTwitter
// header or without, and reads their envelopes. A large framed one is given before it is whole.
//
// Lifetime: of its session. Threading: its worker's loop. Errors: kMalformed is final for the
// connection; why() tells the reason.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "backend/spoken.h"
#include "base/buffer.h"
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
  ReplyReader(const Spoken& spoken, uint32_t max_frame_bytes);

  // Takes the next reply off the front of `in`. One of more than `hold` bytes (framed only) is
  // given as soon as its envelope and the head of its first field are there; the connection's next
  // bytes are then its rest. `arena` is for the lengths that unframed messages lack.
  thrift::Outcome Next(base::Buffer* in, uint32_t hold, base::Arena* arena, Reply* reply);
  // Only between two messages.
  void SetProtocol(thrift::Protocol protocol);
  // "bad frame: …" or "bad reply: …", with `from` in it.
  std::string Why(const std::string& from) const;

 private:
  thrift::Outcome NextFramed(base::Buffer* in, uint32_t hold, Reply* reply);
  thrift::Outcome NextBuffered(base::Buffer* in, base::Arena* arena, Reply* reply);
  // Of a frame of which `in` has a part.
  thrift::Outcome Begin(base::Buffer* in, uint32_t hold, Reply* reply);
  // Reads the head of `bytes` and takes the ResponseHeader out. `whole`: more bytes will not come.
  thrift::Outcome ReadHead(base::Buffer* bytes, bool whole, Reply* reply);
  // What stands between the length and the message.
  thrift::DecodeResult SkipHeader(base::Buffer* bytes, uint32_t* size);
  thrift::Outcome Bad(const char* why);

  thrift::Framing framing_;
  thrift::Protocol protocol_;
  bool upgraded_;
  uint32_t max_;
  thrift::FrameDecoder frames_;
  std::unique_ptr<thrift::BufferedDecoder> messages_;  // unframed only
  size_t look_at_ = 0;  // a head that was too short is read again when there is so much
  const char* what_ = "frame";
  std::string why_;
};

}  // namespace trestle::backend
