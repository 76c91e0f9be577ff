#include "server/message_reader.h"

#include <utility>

#include "server/decode_front.h"
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

}  // namespace

MessageReader::MessageReader(const Options& options, base::Arena* arena)
    : arena_(arena),
      hint_(options.dialect),
      max_bytes_(options.max_frame_bytes),
      threshold_(options.stream_threshold),
      frames_(options.max_frame_bytes) {}

Outcome MessageReader::Next(base::Buffer* in) {
  if (!dialect_ && !Detect(in)) return why_.empty() ? Outcome::kNeedMore : Outcome::kMalformed;
  return dialect_->framing == thrift::Framing::kFramed ? NextFramed(in) : NextBuffered(in);
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
  if (dialect.framing == thrift::Framing::kTHeader) return Malformed("looks like THeader");
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
  uint32_t header = 0;
  if (upgraded_) {
    thrift::RequestHeader scratch;
    DecodeResult r = DecodeFront(in, kLength, kHeader, [&](std::string_view bytes) {
      scratch.Clear();
      return thrift::DecodeRequestHeader(protocol(), bytes, &scratch, &header);
    });
    if (r.outcome != Outcome::kOk) return r.outcome == Outcome::kMalformed;
  }
  thrift::Envelope scratch;
  DecodeResult r = DecodeFront(in, kLength + header, kEnvelope, [&](std::string_view bytes) {
    return thrift::DecodeEnvelope(protocol(), bytes, &scratch);
  });
  if (r.outcome == Outcome::kNeedMore) return false;
  return true;
}

Outcome MessageReader::NextBuffered(base::Buffer* in) {
  Outcome outcome = buffered_->Next(in, upgraded_, &found_);
  rest_ = 0;
  if (outcome == Outcome::kMalformed) Malformed(buffered_->why());
  return outcome;
}

bool MessageReader::Take(call::Call* call) {
  const bool framed = dialect_->framing == thrift::Framing::kFramed;
  call->request_bytes = static_cast<uint32_t>(found_.size() + rest_);
  call->request = std::move(found_);
  call->request_body.rest = rest_;
  call->streamed = rest_ > 0;
  call->walked = !framed;
  call->protocol = protocol();
  if (framed || upgraded_) {
    if (!framed) PutLength(&call->request, call->request.size());
    return (!upgraded_ || TakeHeader(call)) && TakeEnvelope(kLength, call);
  }
  // First, as it stands in one piece only without a length before it.
  if (!TakeEnvelope(0, call)) return false;
  PutLength(&call->request, call->request.size());
  return true;
}

// Cuts the RequestHeader off the front and gives both parts a length of their own.
bool MessageReader::TakeHeader(call::Call* call) {
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

// The envelope stands behind the first `skip` bytes.
bool MessageReader::TakeEnvelope(uint32_t skip, call::Call* call) {
  DecodeResult r = DecodeFront(&call->request, skip, kEnvelope, [&](std::string_view bytes) {
    return thrift::DecodeEnvelope(protocol(), bytes, &call->envelope);
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
