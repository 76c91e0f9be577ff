#include "backend/reply_reader.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "thrift/ttwitter.h"

namespace trestle::backend {
namespace {

using thrift::Outcome;

constexpr uint32_t kLength = 4;
constexpr uint32_t kHead = thrift::MaxEnvelopeSize(thrift::kMaxNameBytes);
constexpr uint32_t kFirstField = 8;  // bytes that tell what a reply is

std::string_view Head(base::Buffer* bytes, size_t most) {
  const size_t n = std::min(bytes->size(), most);
  return std::string_view(bytes->Front(n), n);
}

}  // namespace

ReplyReader::ReplyReader(const Spoken& spoken, uint32_t max_frame_bytes)
    : framing_(spoken.framing),
      protocol_(spoken.protocol),
      upgraded_(spoken.upgraded),
      max_(max_frame_bytes),
      frames_(max_frame_bytes) {}

void ReplyReader::SetProtocol(thrift::Protocol protocol) {
  if (protocol == protocol_) return;
  protocol_ = protocol;
  messages_.reset();
}

std::string ReplyReader::Why(const std::string& from) const {
  return std::string("bad ") + what_ + " from " + from + ": " + why_;
}

Outcome ReplyReader::Bad(const char* why) {
  what_ = "reply";
  why_ = why;
  return Outcome::kMalformed;
}

Outcome ReplyReader::Next(base::Buffer* in, uint32_t hold, base::Arena* arena, Reply* reply) {
  reply->rest = 0;
  return framing_ == thrift::Framing::kFramed ? NextFramed(in, hold, reply)
                                              : NextBuffered(in, arena, reply);
}

Outcome ReplyReader::NextFramed(base::Buffer* in, uint32_t hold, Reply* reply) {
  Outcome outcome = frames_.Next(in, &reply->frame);
  if (outcome == Outcome::kNeedMore) return Begin(in, hold, reply);
  look_at_ = 0;
  if (outcome == Outcome::kOk) return ReadHead(&reply->frame, true, reply);
  why_ = frames_.why();
  return outcome;
}

// Crumbs are not looked at one by one: a head that was too short has to double.
Outcome ReplyReader::Begin(base::Buffer* in, uint32_t hold, Reply* reply) {
  if (in->size() <= kLength || in->size() < look_at_) return Outcome::kNeedMore;
  char length[kLength];
  in->CopyOut(0, length, kLength);
  const uint64_t whole = uint64_t{kLength} + thrift::ReadU32(length);
  if (whole - kLength <= hold) return Outcome::kNeedMore;
  const uint64_t here = in->size();
  Outcome outcome = ReadHead(in, false, reply);
  if (outcome == Outcome::kNeedMore) look_at_ = 2 * in->size();
  if (outcome != Outcome::kOk) return outcome;
  look_at_ = 0;
  reply->frame = std::move(*in);
  in->Clear();
  reply->rest = whole - here;
  return Outcome::kOk;
}

Outcome ReplyReader::NextBuffered(base::Buffer* in, base::Arena* arena, Reply* reply) {
  if (!messages_) messages_ = std::make_unique<thrift::BufferedDecoder>(protocol_, max_);
  Outcome outcome = messages_->Next(in, upgraded_, &reply->frame);
  if (outcome == Outcome::kMalformed) why_ = messages_->why();
  if (outcome != Outcome::kOk) return outcome;
  base::Slice length = arena->Allot(kLength);
  thrift::WriteU32(length.data(), static_cast<uint32_t>(reply->frame.size()));
  reply->frame.Prepend(std::move(length));
  return ReadHead(&reply->frame, true, reply);
}

thrift::DecodeResult ReplyReader::SkipHeader(base::Buffer* bytes, uint32_t* size) {
  *size = 0;
  if (!upgraded_) return {Outcome::kOk};
  std::string_view head = Head(bytes, kLength + 1);
  if (head.size() > kLength && head[kLength] == '\0') {  // nearly every one
    *size = 1;
    return {Outcome::kOk};
  }
  head = Head(bytes, kLength + size_t{thrift::kMaxHeaderBytes} + 1);
  return thrift::SkipResponseHeader(protocol_, head.substr(kLength), size);
}

Outcome ReplyReader::ReadHead(base::Buffer* bytes, bool whole, Reply* reply) {
  constexpr const char* kCutOff = "a frame too short for its message";
  uint32_t header = 0;
  thrift::DecodeResult r = SkipHeader(bytes, &header);
  if (r.outcome == Outcome::kNeedMore) return whole ? Bad(kCutOff) : r.outcome;
  if (r.outcome == Outcome::kMalformed) return Bad(r.why);
  std::string_view head = Head(bytes, size_t{kLength} + header + kHead + kFirstField);
  r = thrift::DecodeEnvelope(protocol_, head.substr(kLength + header), &reply->envelope);
  if (r.outcome == Outcome::kMalformed) return Bad(r.why);
  if (r.outcome == Outcome::kNeedMore) return whole ? Bad(kCutOff) : r.outcome;
  std::string_view body = head.substr(kLength + header + reply->envelope.size);
  if (!whole && body.size() < kFirstField) return Outcome::kNeedMore;
  reply->kind = thrift::ClassifyReply(protocol_, reply->envelope.type, body);
  if (header == 0) return Outcome::kOk;
  // The length moves up to the message; the header's bytes are ours to write over.
  char* front = bytes->Front(head.size());
  thrift::WriteU32(front + header, thrift::ReadU32(front) - header);
  bytes->TrimFront(header);
  return Outcome::kOk;
}

}  // namespace trestle::backend
