// Dialect: how the messages of a connection are written: with a length in front, with a THeader, or
// with nothing, in binary or compact; and which it is, told from a connection's first bytes.
//
// Lifetime, threading: pure. Errors: an Outcome and a short reason for logs.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "thrift/message.h"

namespace trestle::thrift {

// What marks the end of a message.
enum class Framing : uint8_t {
  kFramed,    // a length of four bytes in front
  kBuffered,  // nothing: it ends where its fields end
  kTHeader,   // a length in front, and behind it a header (theader.h)
};
const char* FramingName(Framing framing);  // "framed", "buffered", "theader"

struct Dialect {
  Framing framing = Framing::kFramed;
  Protocol protocol = Protocol::kBinary;  // kTHeader: says nothing, each message has its own
  friend bool operator==(const Dialect&, const Dialect&) = default;
};

// What is known of a connection before its first byte; the rest is told from its bytes. A THeader
// fits any protocol: that of its messages is to be checked one by one.
struct DialectHint {
  std::optional<Framing> framing;
  std::optional<Protocol> protocol;
  friend bool operator==(const DialectHint&, const DialectHint&) = default;
};

// At most so many first bytes are needed.
inline constexpr size_t kDetectBytes = 8;

// Tells the dialect from the first bytes of a connection. kNeedMore: they fit several yet.
// kMalformed: none that Trestle speaks here, or another than the hint says; the reason names what
// it looks like (HTTP, TLS, THeader where thriftFramed rules it out, ThriftMux).
DecodeResult DetectDialect(std::string_view first, const DialectHint& hint,
                           uint32_t max_frame_bytes, Dialect* out);

}  // namespace trestle::thrift
