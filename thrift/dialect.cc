#include "thrift/dialect.h"

#include "thrift/frame.h"
#include "thrift/lookalike.h"

namespace trestle::thrift {
namespace {

constexpr uint32_t kMaxOldName = 128;  // a longer one is taken for a frame's length
constexpr char kHeaderRuledOut[] = "looks like THeader; thriftFramed says otherwise";

DecodeResult Malformed(const char* why) { return {Outcome::kMalformed, why}; }
DecodeResult NeedMore() { return {Outcome::kNeedMore}; }
DecodeResult Found(Framing framing, Protocol protocol, Dialect* out) {
  *out = {framing, protocol};
  return {Outcome::kOk};
}

bool NameStart(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}
bool NameByte(char c) {
  const auto byte = static_cast<uint8_t>(c);
  return byte > ' ' && byte != 0x7f;
}

// A first word that is no length and no version.
DecodeResult Stranger(std::string_view first, uint32_t word) {
  if (const char* looks = LooksLikeStranger(first)) return Malformed(looks);
  if (word == 0) return Malformed("a frame of no bytes");
  return Malformed(word > INT32_MAX ? "neither a length nor a version in front"
                                    : "a length over the bound on frames");
}

// Behind a first word that may be a length. A name and what ThriftMux begins with (a type and a
// tag, whose first byte is 0) both may start with a letter: the second byte tells.
DecodeResult Behind(uint32_t word, std::string_view second, Dialect* out) {
  if (second.empty()) return NeedMore();
  if (second[0] == 0) return Found(Framing::kFramed, Protocol::kBinary, out);
  if (second.size() < 2) return NeedMore();
  if (BinaryStart(second)) return Found(Framing::kFramed, Protocol::kBinary, out);
  if (CompactStart(second)) return Found(Framing::kFramed, Protocol::kCompact, out);
  if (HeaderStart(second)) return Found(Framing::kTHeader, Protocol::kBinary, out);
  if (NameStart(second[0]) && word < kMaxOldName) {
    const bool fits = word == 1 ? second[1] >= 1 && second[1] <= 4 : NameByte(second[1]);
    if (fits) return Found(Framing::kBuffered, Protocol::kBinary, out);
  }
  const auto type = static_cast<uint8_t>(second[0]);
  const bool mux = type <= 2 || (type >= 0x40 && type <= 0x44) || type == 0x7f;
  if (mux && second[1] == 0) return Malformed(kLooksLikeMux);
  return Malformed("neither binary nor compact Thrift");
}

DecodeResult Guess(std::string_view first, uint32_t max_frame_bytes, Dialect* out) {
  if (first.size() < 2) return NeedMore();
  if (BinaryStart(first)) return Found(Framing::kBuffered, Protocol::kBinary, out);
  if (CompactStart(first)) return Found(Framing::kBuffered, Protocol::kCompact, out);
  if (first.size() < 4) return NeedMore();
  const uint32_t word = ReadU32(first.data());
  if (word == 0 || word > max_frame_bytes || word > INT32_MAX) return Stranger(first, word);
  return Behind(word, first.substr(4), out);
}

// No length in front: a name's length stands there, or a version. It may be longer than one that is
// told from a frame's length by its looks.
DecodeResult GuessBuffered(std::string_view first, Dialect* out) {
  if (first.size() < 2) return NeedMore();
  if (BinaryStart(first)) return Found(Framing::kBuffered, Protocol::kBinary, out);
  if (CompactStart(first)) return Found(Framing::kBuffered, Protocol::kCompact, out);
  if (first.size() < 4) return NeedMore();
  const uint32_t word = ReadU32(first.data());
  if (first[0] != 0) {
    const char* looks = LooksLikeStranger(first);
    return Malformed(looks ? looks : "neither a version nor a name's length in front");
  }
  if (first.size() < 6) return NeedMore();
  if (HeaderStart(first.substr(4))) return Malformed(kHeaderRuledOut);
  if (const char* looks = LooksLikeFramed(first)) return Malformed(looks);
  // No name begins so: it is the length of one, with a frame around it.
  if (word > 0 && first[4] == 0) return Malformed("looks like framed binary Thrift");
  if (word > kMaxNameBytes) return Malformed("name over 4096 bytes");
  return Found(Framing::kBuffered, Protocol::kBinary, out);
}

// For where another framing was to be.
const char* OtherFraming(const Dialect& found) {
  const bool binary = found.protocol == Protocol::kBinary;
  switch (found.framing) {
    case Framing::kFramed:
      return binary ? "looks like framed binary Thrift" : "looks like framed compact Thrift";
    case Framing::kBuffered:
      return binary ? "looks like unframed binary Thrift" : "looks like unframed compact Thrift";
    case Framing::kTHeader:
      break;
  }
  return kHeaderRuledOut;
}

const char* NotAsHinted(const DialectHint& hint, const Dialect& found) {
  if (hint.framing && *hint.framing != found.framing) return OtherFraming(found);
  if (found.framing == Framing::kTHeader) return nullptr;
  if (hint.protocol && *hint.protocol != found.protocol) {
    return found.protocol == Protocol::kBinary ? "looks like binary, not compact"
                                               : "looks like compact, not binary";
  }
  return nullptr;
}

}  // namespace

const char* FramingName(Framing framing) {
  switch (framing) {
    case Framing::kFramed:
      return "framed";
    case Framing::kBuffered:
      return "buffered";
    case Framing::kTHeader:
      break;
  }
  return "theader";
}

DecodeResult DetectDialect(std::string_view first, const DialectHint& hint,
                           uint32_t max_frame_bytes, Dialect* out) {
  if (hint.framing && hint.protocol) return Found(*hint.framing, *hint.protocol, out);
  Dialect found;
  const DecodeResult result = hint.framing == Framing::kBuffered
                                  ? GuessBuffered(first, &found)
                                  : Guess(first, max_frame_bytes, &found);
  if (result.outcome != Outcome::kOk) return result;
  if (const char* why = NotAsHinted(hint, found)) return Malformed(why);
  *out = found;
  return result;
}

}  // namespace trestle::thrift
