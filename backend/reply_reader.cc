#include "backend/reply_reader.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "thrift/lookalike.h"
#include "thrift/theader.h"
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

void PutLength(uint64_t length, base::Buffer* message, base::Arena* arena) {
  base::Slice slice = arena->Allot(kLength);
  thrift::WriteU32(slice.data(), static_cast<uint32_t>(length));
  message->Prepend(std::move(slice));
}

}  // namespace

ReplyReader::ReplyReader(const Spoken& spoken, const Options& options)
    : framing_(spoken.framing),
      protocol_(spoken.protocol),
      upgraded_(spoken.upgraded),
      options_(options),
      max_(options.max_frame_bytes),
      frames_(options.max_frame_bytes) {}

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
  header_.Clear();
  return framing_ == thrift::Framing::kBuffered ? NextBuffered(in, arena, reply)
                                                : NextFramed(in, hold, arena, reply);
}

Outcome ReplyReader::NextFramed(base::Buffer* in, uint32_t hold, base::Arena* arena, Reply* reply) {
  Outcome outcome = frames_.Next(in, &reply->frame);
  if (outcome == Outcome::kNeedMore) return Begin(in, hold, arena, reply);
  look_at_ = 0;
  if (outcome == Outcome::kOk) return ReadHead(&reply->frame, true, arena, reply);
  why_ = frames_.why();
  return outcome;
}

// Crumbs are not looked at one by one: a head that was too short has to double.
Outcome ReplyReader::Begin(base::Buffer* in, uint32_t hold, base::Arena* arena, Reply* reply) {
  if (in->size() <= kLength || in->size() < look_at_) return Outcome::kNeedMore;
  char length[kLength];
  in->CopyOut(0, length, kLength);
  const uint64_t whole = uint64_t{kLength} + thrift::ReadU32(length);
  if (whole - kLength <= hold) return Outcome::kNeedMore;
  const uint64_t here = in->size();
  Outcome outcome = ReadHead(in, false, arena, reply);
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
  PutLength(reply->frame.size(), &reply->frame, arena);
  return ReadHead(&reply->frame, true, arena, reply);
}

thrift::DecodeResult ReplyReader::ReadHeader(base::Buffer* bytes, Beside* beside) {
  if (framing_ == thrift::Framing::kTHeader) return ReadTHeader(bytes, beside);
  if (!upgraded_) return {Outcome::kOk};
  std::string_view head = Head(bytes, kLength + 1);
  if (head.size() > kLength && head[kLength] == '\0') {  // nearly every one
    beside->size = 1;
    return {Outcome::kOk};
  }
  beside->empty = false;
  head = Head(bytes, kLength + size_t{thrift::kMaxHeaderBytes} + 1);
  return thrift::SkipResponseHeader(protocol_, head.substr(kLength), &beside->size);
}

thrift::DecodeResult ReplyReader::ReadTHeader(base::Buffer* bytes, Beside* beside) {
  std::string_view head = Head(bytes, kLength + thrift::kTHeaderFixed);
  if (head.size() < kLength + 2) return {Outcome::kNeedMore};
  if (!thrift::HeaderStart(head.substr(kLength))) return {Outcome::kOk};
  if (head.size() == kLength + thrift::kTHeaderFixed) {
    head = Head(bytes, kLength + thrift::THeaderSize(head.substr(kLength)));
  }
  static thread_local thrift::THeader header;  // its list keeps its memory
  thrift::DecodeResult r = thrift::DecodeTHeader(head.substr(kLength), thrift::ReadU32(head.data()),
                                                 &header, &beside->size);
  if (r.outcome == Outcome::kOk && header.protocol != protocol_) {
    return {Outcome::kMalformed, "a THeader of another protocol than the call's"};
  }
  beside->empty = header.keys.empty();
  beside->zlib = header.zlib;
  return r;
}

Outcome ReplyReader::ReadHead(base::Buffer* bytes, bool whole, base::Arena* arena, Reply* reply) {
  constexpr const char* kCutOff = "a frame too short for its message";
  Beside beside;
  thrift::DecodeResult r = ReadHeader(bytes, &beside);
  if (r.outcome == Outcome::kNeedMore) return whole ? Bad(kCutOff) : r.outcome;
  if (r.outcome == Outcome::kMalformed) return Bad(r.why);
  if (beside.zlib > 0) {
    if (!whole) return Outcome::kNeedMore;
    if (Inflate(bytes, beside, arena) != Outcome::kOk) return Outcome::kMalformed;
    beside = {};
  }
  const size_t before = size_t{kLength} + beside.size;
  std::string_view head = Head(bytes, before + kHead + kFirstField);
  r = thrift::DecodeEnvelope(protocol_, head.substr(before), &reply->envelope);
  if (r.outcome == Outcome::kMalformed) return Bad(r.why);
  if (r.outcome == Outcome::kNeedMore) return whole ? Bad(kCutOff) : r.outcome;
  std::string_view body = head.substr(before + reply->envelope.size);
  if (!whole && body.size() < kFirstField) return Outcome::kNeedMore;
  reply->kind = thrift::ClassifyReply(protocol_, reply->envelope.type, body);
  if (beside.size > 0) TakeOut(bytes, beside, arena);
  return Outcome::kOk;
}

void ReplyReader::TakeOut(base::Buffer* bytes, const Beside& beside, base::Arena* arena) {
  char* front = bytes->Front(kLength + beside.size);
  const uint32_t length = thrift::ReadU32(front) - beside.size;
  if (beside.empty) {
    // The length moves up to the message; the header's bytes are ours to write over.
    thrift::WriteU32(front + beside.size, length);
    return bytes->TrimFront(beside.size);
  }
  bytes->TrimFront(kLength);
  header_ = bytes->Split(beside.size);
  PutLength(length, bytes, arena);
}

Outcome ReplyReader::Inflate(base::Buffer* frame, const Beside& beside, base::Arena* arena) {
  if (base::Block::BytesOnThread() > options_.max_buffered_bytes) {
    short_of_memory_ = true;
    return Outcome::kMalformed;
  }
  frame->TrimFront(kLength);
  base::Buffer header = frame->Split(beside.size);
  const char* why = nullptr;
  base::Buffer message;
  if (!thrift::Inflate(*frame, beside.zlib, max_, &message, &why)) return Bad(why);
  if (!beside.empty) header_ = std::move(header);
  *frame = std::move(message);
  PutLength(frame->size(), frame, arena);
  return Outcome::kOk;
}

}  // namespace trestle::backend
