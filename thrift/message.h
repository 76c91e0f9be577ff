// The message envelope of Thrift: method name, type and sequence id, in binary or compact.
//
// Only the envelope is read; the body after it goes on as bytes. Lifetime: views point into the
// bytes given. Threading: pure. Errors: an Outcome and a short reason for logs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/outcome.h"

namespace trestle::thrift {

enum class Protocol : uint8_t { kBinary, kCompact };
const char* ProtocolName(Protocol protocol);  // "binary", "compact"

using base::DecodeResult;
using base::Outcome;

enum class MessageType : uint8_t { kCall = 1, kReply = 2, kException = 3, kOneway = 4 };

// The longest method name (with its service) that is taken from a peer, in bytes.
inline constexpr uint32_t kMaxNameBytes = 4096;

struct Envelope {
  MessageType type = MessageType::kCall;
  bool old_form = false;  // binary: `name type seqid`, without a version
  std::string_view name;
  int32_t seqid = 0;
  uint32_t size = 0;      // bytes of the envelope: the body begins here
  uint32_t seqid_at = 0;  // where the seqid stands
  uint32_t seqid_size = 0;
};

// Reads an envelope from the start of a message. kNeedMore: `bytes` is a prefix of something that
// may become one. Binary is read in both forms. THeader, ThriftMux and the other protocol are
// malformed, and the reason names them.
DecodeResult DecodeEnvelope(Protocol protocol, std::string_view bytes, Envelope* out);

// How many bytes EncodeEnvelope writes.
uint32_t EnvelopeSize(Protocol protocol, std::string_view name, int32_t seqid,
                      bool old_form = false);
// Writes an envelope; `to` has room for EnvelopeSize bytes. Gives the number written.
uint32_t EncodeEnvelope(Protocol protocol, MessageType type, std::string_view name, int32_t seqid,
                        char* to, bool old_form = false);
// The most bytes an envelope with a name of this length can take.
inline constexpr uint32_t MaxEnvelopeSize(uint32_t name_bytes) { return 16 + name_bytes; }

// Overwrites the seqid of a binary envelope in place.
void PatchBinarySeqid(char* message, const Envelope& envelope, int32_t seqid);

// What the body of a reply is, by the id of its first field.
enum class ReplyKind : uint8_t {
  kResult,                // field 0, or no field at all (void)
  kDeclaredException,     // another field
  kApplicationException,  // the message type was exception
  kUnknown,               // the body does not begin like a struct
};
const char* ReplyKindName(ReplyKind kind);  // "result", "declared_exception", …
// `body`: the first bytes after the envelope; 3 (binary) or 4 (compact) are enough, fewer than its
// first field's head are kUnknown.
ReplyKind ClassifyReply(Protocol protocol, MessageType type, std::string_view body);

// Types of TApplicationException.
inline constexpr int32_t kUnknownMethod = 1;
inline constexpr int32_t kInternalError = 6;

// A whole message (no frame length): type exception, with TApplicationException {1: text, 2: type}.
std::string EncodeApplicationException(Protocol protocol, std::string_view name, int32_t seqid,
                                       int32_t type, std::string_view text, bool old_form = false);
// Reads message and type of a TApplicationException body (for texts in logs); false if it is none.
bool DecodeApplicationException(Protocol protocol, std::string_view body, std::string* text,
                                int32_t* type);

}  // namespace trestle::thrift
