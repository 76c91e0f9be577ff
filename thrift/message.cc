#include "thrift/message.h"

#include <cstring>

#include "thrift/frame.h"
#include "thrift/lookalike.h"
#include "thrift/reader.h"

namespace trestle::thrift {
namespace {

constexpr uint32_t kBinaryVersion = 0x80010000;
constexpr char kCompactId = '\x82';
constexpr uint8_t kCompactVersion = 1;
constexpr const char* kNameTooLong = "name over 4096 bytes";
constexpr const char* kUnknownType = "unknown message type";

DecodeResult Malformed(const char* why) { return {Outcome::kMalformed, why}; }
DecodeResult NeedMore() { return {Outcome::kNeedMore}; }

bool Starts(std::string_view bytes, std::string_view with) {
  return bytes.substr(0, with.size()) == with;
}

// Says what stands where the version should: for the log of whoever connected the wrong peers.
const char* BadVersion(Protocol protocol, std::string_view bytes) {
  using namespace std::string_view_literals;
  if (HeaderStart(bytes)) return kLooksLikeHeader;
  if (Starts(bytes, "\x7f\x00\x00\x01"sv)) return "bad version (looks like ThriftMux)";
  if (protocol == Protocol::kCompact) {
    return BinaryStart(bytes) ? "bad version (looks like binary, not compact)" : "bad version";
  }
  if (CompactStart(bytes)) {
    return "bad version (looks like compact, not binary)";
  }
  return "bad version";
}

// Fewer bytes than a version and a name's length: wrong ones are told at once all the same.
DecodeResult ShortBinary(std::string_view bytes) {
  constexpr std::string_view kStart("\x80\x01\x00", 3);
  if (!Starts(kStart, bytes.substr(0, 3))) return Malformed(BadVersion(Protocol::kBinary, bytes));
  if (bytes.size() >= 4 && (bytes[3] < 1 || bytes[3] > 4)) return Malformed(kUnknownType);
  return NeedMore();
}

// `name~4 type:1 seqid:4`. Its first byte is 0, since no name is that long. A frame's length looks
// just so, and then the name begins like a message.
DecodeResult DecodeOldBinary(std::string_view bytes, Envelope* out) {
  if (bytes.size() < 4) return NeedMore();
  const uint32_t length = ReadU32(bytes.data());
  if (const char* framed = LooksLikeFramed(bytes)) return Malformed(framed);
  if (length > kMaxNameBytes) return Malformed(kNameTooLong);
  if (bytes.size() < 9 + length) return NeedMore();
  const auto type = static_cast<uint8_t>(bytes[4 + length]);
  if (type < 1 || type > 4) return Malformed(kUnknownType);
  out->type = static_cast<MessageType>(type);
  out->old_form = true;
  out->name = bytes.substr(4, length);
  out->seqid = static_cast<int32_t>(ReadU32(bytes.data() + 5 + length));
  out->size = 9 + length;
  out->seqid_at = 5 + length;
  out->seqid_size = 4;
  return {Outcome::kOk};
}

DecodeResult DecodeBinary(std::string_view bytes, Envelope* out) {
  if (!bytes.empty() && bytes[0] == 0) return DecodeOldBinary(bytes, out);
  out->old_form = false;
  if (bytes.size() < 8) return ShortBinary(bytes);
  const uint32_t version = ReadU32(bytes.data());
  if ((version & 0xffffff00) != kBinaryVersion) {
    return Malformed(BadVersion(Protocol::kBinary, bytes));
  }
  const uint32_t type = version & 0xff;
  if (type - 1 > 3) return Malformed(kUnknownType);
  const uint32_t length = ReadU32(bytes.data() + 4);
  if (length > kMaxNameBytes) {
    return Malformed(length > INT32_MAX ? "name of negative length" : kNameTooLong);
  }
  if (bytes.size() < 12 + length) return NeedMore();
  out->type = static_cast<MessageType>(type);
  out->name = bytes.substr(8, length);
  out->seqid = static_cast<int32_t>(ReadU32(bytes.data() + 8 + length));
  out->size = 12 + length;
  out->seqid_at = 8 + length;
  out->seqid_size = 4;
  return {Outcome::kOk};
}

// A varint of 32 bits at *at, which moves behind it.
Outcome Varint32(std::string_view bytes, uint32_t* at, uint32_t* value) {
  uint32_t v = 0;
  for (uint32_t shift = 0; shift < 35; shift += 7) {
    if (*at >= bytes.size()) return Outcome::kNeedMore;
    const auto byte = static_cast<uint8_t>(bytes[(*at)++]);
    if (shift == 28 && byte > 0x0f) return Outcome::kMalformed;
    v |= static_cast<uint32_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) {
      *value = v;
      return Outcome::kOk;
    }
  }
  return Outcome::kMalformed;
}

DecodeResult DecodeCompact(std::string_view bytes, Envelope* out) {
  if (bytes.empty()) return NeedMore();
  if (bytes[0] != kCompactId) return Malformed(BadVersion(Protocol::kCompact, bytes));
  if (bytes.size() < 2) return NeedMore();
  const auto second = static_cast<uint8_t>(bytes[1]);
  if ((second & 0x1f) != kCompactVersion) return Malformed("bad version");
  const uint32_t type = second >> 5;
  if (type - 1 > 3) return Malformed(kUnknownType);
  uint32_t at = 2;
  uint32_t seqid = 0;
  uint32_t length = 0;
  Outcome outcome = Varint32(bytes, &at, &seqid);
  if (outcome != Outcome::kOk) return {outcome, "seqid over 32 bits"};
  const uint32_t seqid_size = at - 2;
  outcome = Varint32(bytes, &at, &length);
  if (outcome != Outcome::kOk) return {outcome, "name length over 32 bits"};
  if (length > kMaxNameBytes) {
    return Malformed(length > INT32_MAX ? "name of negative length" : kNameTooLong);
  }
  if (bytes.size() - at < length) return NeedMore();
  out->type = static_cast<MessageType>(type);
  out->name = bytes.substr(at, length);
  out->seqid = static_cast<int32_t>(seqid);
  out->old_form = false;
  out->size = at + length;
  out->seqid_at = 2;
  out->seqid_size = seqid_size;
  return {Outcome::kOk};
}

uint32_t VarintSize(uint32_t value) {
  uint32_t n = 1;
  for (; value >= 0x80; value >>= 7) n++;
  return n;
}

char* PutVarint(char* to, uint32_t value) {
  for (; value >= 0x80; value >>= 7) *to++ = static_cast<char>(value | 0x80);
  *to++ = static_cast<char>(value);
  return to;
}

}  // namespace

const char* ProtocolName(Protocol protocol) {
  return protocol == Protocol::kBinary ? "binary" : "compact";
}

DecodeResult DecodeEnvelope(Protocol protocol, std::string_view bytes, Envelope* out) {
  return protocol == Protocol::kBinary ? DecodeBinary(bytes, out) : DecodeCompact(bytes, out);
}

uint32_t EnvelopeSize(Protocol protocol, std::string_view name, int32_t seqid, bool old_form) {
  const auto length = static_cast<uint32_t>(name.size());
  if (protocol == Protocol::kBinary) return (old_form ? 9 : 12) + length;
  return 2 + VarintSize(static_cast<uint32_t>(seqid)) + VarintSize(length) + length;
}

uint32_t EncodeEnvelope(Protocol protocol, MessageType type, std::string_view name, int32_t seqid,
                        char* to, bool old_form) {
  char* const start = to;
  const auto length = static_cast<uint32_t>(name.size());
  const auto number = static_cast<uint32_t>(type);
  if (protocol == Protocol::kBinary && old_form) {
    WriteU32(to, length);
    if (length > 0) std::memcpy(to + 4, name.data(), length);
    to[4 + length] = static_cast<char>(number);
    WriteU32(to + 5 + length, static_cast<uint32_t>(seqid));
    return 9 + length;
  }
  if (protocol == Protocol::kBinary) {
    WriteU32(to, kBinaryVersion | number);
    WriteU32(to + 4, length);
    if (length > 0) std::memcpy(to + 8, name.data(), length);
    WriteU32(to + 8 + length, static_cast<uint32_t>(seqid));
    return 12 + length;
  }
  *to++ = kCompactId;
  *to++ = static_cast<char>(number << 5 | kCompactVersion);
  to = PutVarint(to, static_cast<uint32_t>(seqid));
  to = PutVarint(to, length);
  if (length > 0) std::memcpy(to, name.data(), length);
  return static_cast<uint32_t>(to + length - start);
}

void PatchBinarySeqid(char* message, const Envelope& envelope, int32_t seqid) {
  WriteU32(message + envelope.seqid_at, static_cast<uint32_t>(seqid));
}

const char* ReplyKindName(ReplyKind kind) {
  switch (kind) {
    case ReplyKind::kResult:
      return "result";
    case ReplyKind::kDeclaredException:
      return "declared_exception";
    case ReplyKind::kApplicationException:
      return "application_exception";
    case ReplyKind::kUnknown:
      break;
  }
  return "unknown";
}

ReplyKind ClassifyReply(Protocol protocol, MessageType type, std::string_view body) {
  if (type == MessageType::kException) return ReplyKind::kApplicationException;
  if (type != MessageType::kReply) return ReplyKind::kUnknown;
  Reader reader(protocol, body, INT32_MAX);
  Field field;
  if (!reader.NextField(&field)) return reader.ok() ? ReplyKind::kResult : ReplyKind::kUnknown;
  return field.id == 0 ? ReplyKind::kResult : ReplyKind::kDeclaredException;
}

}  // namespace trestle::thrift
