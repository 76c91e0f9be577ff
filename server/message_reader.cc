#include "server/message_reader.h"

#include <utility>

#include "call/crossing.h"
#include "server/decode_front.h"
#include "thrift/lookalike.h"
#include "thrift/theader.h"
#include "thrift/ttwitter.h"

namespace trestle::server {
namespace {

using thrift::DecodeResult;
using thrift::Outcome;

constexpr uint32_t kLength = 4;  // bytes of a frame's length
// Enough of a message to hold any envelope that we accept.
constexpr uint32_t kEnvelope = thrift::MaxEnvelopeSize(thrift::kMaxNameBytes);
// And one byte more than a header may have, so that a longer one is known as such.
constexpr uint32_t kHeader = thrift::kMaxHeaderBytes + 1;
constexpr uint32_t kTHeader = thrift::kTHeaderFixed + thrift::kMaxTHeaderBytes;

// Of a frame on a THeader connection: whether it has one. Two bytes behind its length tell.
bool HasTHeader(const base::Buffer& frame) {
  char magic[2];
  return thrift::HeaderStart({magic, frame.CopyOut(kLength, magic, sizeof magic)});
}

DecodeResult DecodeTHeader(base::Buffer* frame, thrift::THeader* out, uint32_t* size) {
  const uint32_t length = thrift::ReadU32(frame->Front(kLength));
  return DecodeFront(frame, kLength, kTHeader, [&](std::string_view bytes) {
    return thrift::DecodeTHeader(bytes, length, out, size);
  });
}

}  // namespace

MessageReader::MessageReader(const Options& options, base::Arena* arena)
    : arena_(arena),
      hint_(options.dialect),
      max_bytes_(options.max_frame_bytes),
      threshold_(options.stream_threshold),
      max_buffered_(options.max_buffered_bytes),
      frames_(options.max_frame_bytes) {}

Outcome MessageReader::Next(base::Buffer* in) {
  if (!dialect_ && !Detect(in)) return why_.empty() ? Outcome::kNeedMore : Outcome::kMalformed;
  return dialect_->framing == thrift::Framing::kBuffered ? NextBuffered(in) : NextFramed(in);
}

bool MessageReader::Detect(base::Buffer* in) {
  thrift::Dialect dialect;
  if (hint_.framing && hint_.protocol) {
    dialect = {*hint_.framing, *hint_.protocol};
  } else {
    char first[thrift::kDetectBytes];
    const size_t n = in->CopyOut(0, first, sizeof first);
    DecodeResult r = thrift::DetectDialect({first, n}, hint_, max_bytes_, &dialect);
    if (r.outcome == Outcome::kMalformed) return Malformed(r.why);
    if (r.outcome == Outcome::kNeedMore) return false;
  }
  dialect_ = dialect;
  if (dialect.framing == thrift::Framing::kBuffered) {
    buffered_ = std::make_unique<thrift::BufferedDecoder>(dialect.protocol, max_bytes_);
  }
  return true;
}

Outcome MessageReader::NextFramed(base::Buffer* in) {
  Outcome outcome = frames_.Next(in, &found_);
  rest_ = 0;
  if (outcome == Outcome::kMalformed) Malformed(frames_.why());
  if (outcome == Outcome::kOk) look_at_ = 0;
  if (outcome != Outcome::kNeedMore || frames_.missing() == 0) return outcome;
  const uint64_t whole = in->size() + frames_.missing();
  if (whole - kLength <= threshold_ || !HeadIsHere(in)) return Outcome::kNeedMore;
  look_at_ = 0;
  rest_ = frames_.missing();
  found_ = in->Split(in->size());
  return Outcome::kOk;
}

// Whether header and envelope of the large frame at the front can be read, if only as malformed.
// What comes in crumbs is tried again when it has doubled, so all tries cost no more than one.
bool MessageReader::HeadIsHere(base::Buffer* in) {
  if (in->size() < look_at_ || in->size() <= kLength) return false;
  look_at_ = 2 * in->size();
  Head head{protocol()};
  DecodeResult r = PeekHeader(in, &head);
  if (r.outcome != Outcome::kOk) return r.outcome == Outcome::kMalformed;
  if (head.deflated) return false;
  thrift::Envelope scratch;
  r = DecodeFront(in, kLength + head.header, kEnvelope, [&](std::string_view bytes) {
    return thrift::DecodeEnvelope(head.protocol, bytes, &scratch);
  });
  return r.outcome != Outcome::kNeedMore;
}

DecodeResult MessageReader::PeekHeader(base::Buffer* in, Head* head) {
  if (theader()) {
    if (in->size() < kLength + 2) return {Outcome::kNeedMore};
    head->protocol = ProtocolOf(*in);
    if (!HasTHeader(*in)) return {Outcome::kOk};
    thrift::THeader scratch;
    DecodeResult r = DecodeTHeader(in, &scratch, &head->header);
    head->protocol = scratch.protocol;
    head->deflated = scratch.zlib > 0;
    return r;
  }
  if (!upgraded_) return {Outcome::kOk};
  thrift::RequestHeader scratch;
  return DecodeFront(in, kLength, kHeader, [&](std::string_view bytes) {
    scratch.Clear();
    return thrift::DecodeRequestHeader(protocol(), bytes, &scratch, &head->header);
  });
}

Outcome MessageReader::NextBuffered(base::Buffer* in) {
  Outcome outcome = buffered_->Next(in, upgraded_, &found_);
  rest_ = 0;
  if (outcome == Outcome::kMalformed) Malformed(buffered_->why());
  return outcome;
}

bool MessageReader::Take(call::Call* call) {
  const bool framed = dialect_->framing != thrift::Framing::kBuffered;
  call->request_bytes = static_cast<uint32_t>(found_.size() + rest_);
  call->request = std::move(found_);
  call->request_body.rest = rest_;
  call->streamed = rest_ > 0;
  call->walked = !framed;
  call->protocol = protocol();
  if (framed || upgraded_) {
    if (!framed) PutLength(&call->request, call->request.size());
    return TakeHeader(call) && TakeEnvelope(kLength, call);
  }
  // First, as it stands in one piece only without a length before it.
  if (!TakeEnvelope(0, call)) return false;
  PutLength(&call->request, call->request.size());
  return true;
}

bool MessageReader::TakeHeader(call::Call* call) {
  if (theader()) return TakeTHeader(call);
  return !upgraded_ || TakeTTwitter(call);
}

// Cuts the RequestHeader off the front and gives both parts a length of their own.
bool MessageReader::TakeTTwitter(call::Call* call) {
  uint32_t size = 0;
  call->header.emplace();
  DecodeResult r = DecodeFront(&call->request, kLength, kHeader, [&](std::string_view bytes) {
    call->header->Clear();
    return thrift::DecodeRequestHeader(protocol(), bytes, &*call->header, &size);
  });
  if (r.outcome != Outcome::kOk) {
    return Malformed(std::string("TTwitter header: ") +
                     (r.outcome == Outcome::kNeedMore ? "cut off" : r.why));
  }
  call->header_bytes = call->request.Split(kLength + size);
  thrift::WriteU32(call->header_bytes.Front(kLength), size);
  call->header_form = call::HeaderForm::kTTwitter;
  call->with_header = true;
  PutLength(&call->request, call->request.size() + rest_);
  return true;
}

// Cuts the THeader off the front, if there is one, and gives the message its length.
bool MessageReader::TakeTHeader(call::Call* call) {
  call->protocol = ProtocolOf(call->request);
  if (!HasTHeader(call->request)) return true;
  static thread_local thrift::THeader header;  // its list keeps its memory
  uint32_t size = 0;
  DecodeResult r = DecodeTHeader(&call->request, &header, &size);
  if (r.outcome != Outcome::kOk) return Malformed(r.why);
  if (hint_.protocol && header.protocol != *hint_.protocol) {
    return Malformed(std::string("a THeader of ") + thrift::ProtocolName(header.protocol) +
                     ", not " + thrift::ProtocolName(*hint_.protocol));
  }
  call->protocol = header.protocol;
  call->request.TrimFront(kLength);
  call->header_bytes = call->request.Split(size);
  call->header_form = call::HeaderForm::kTHeader;
  call->with_header = true;
  call->theader_flags = header.flags;
  call::ReadKeys(header.keys, &call->header.emplace());
  if (header.zlib > 0 && !Inflate(header.zlib, &call->request)) return false;
  PutLength(&call->request, call->request.size() + rest_);
  return true;
}

// The reader of a worker takes what has come, however short memory is: that must not grow a
// thousandfold here.
bool MessageReader::Inflate(uint32_t times, base::Buffer* payload) {
  if (base::Block::BytesOnThread() > max_buffered_) {
    return Malformed("over maxBufferedBytes, and zlib to be inflated");
  }
  const char* why = nullptr;
  base::Buffer plain;
  if (!thrift::Inflate(*payload, times, max_bytes_, &plain, &why)) return Malformed(why);
  *payload = std::move(plain);
  return true;
}

// Of a frame without a THeader on a connection that has them.
thrift::Protocol MessageReader::ProtocolOf(const base::Buffer& plain) const {
  if (hint_.protocol) return *hint_.protocol;
  char first[2];
  const size_t n = plain.CopyOut(kLength, first, sizeof first);
  return thrift::CompactStart({first, n}) ? thrift::Protocol::kCompact : thrift::Protocol::kBinary;
}

// The envelope stands behind the first `skip` bytes.
bool MessageReader::TakeEnvelope(uint32_t skip, call::Call* call) {
  DecodeResult r = DecodeFront(&call->request, skip, kEnvelope, [&](std::string_view bytes) {
    return thrift::DecodeEnvelope(call->protocol, bytes, &call->envelope);
  });
  if (r.outcome == Outcome::kNeedMore) return Malformed("a frame too short for its message");
  if (r.outcome != Outcome::kOk) return Malformed(r.why);
  const thrift::MessageType type = call->envelope.type;
  if (type != thrift::MessageType::kCall && type != thrift::MessageType::kOneway) {
    return Malformed("a message that is neither call nor oneway");
  }
  call->method.assign(call->envelope.name);
  call->envelope.name = call->method;
  return true;
}

void MessageReader::PutLength(base::Buffer* message, uint64_t length) {
  base::Slice slice = arena_->Allot(kLength);
  thrift::WriteU32(slice.data(), static_cast<uint32_t>(length));
  message->Prepend(std::move(slice));
}

bool MessageReader::Malformed(std::string why) {
  why_ = std::move(why);
  return false;
}

}  // namespace trestle::server
