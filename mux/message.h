// The messages of mux: their types, and the parts of their bodies that a router reads or writes.
//
// A message is `size:4 type:1 tag:3 body`; FrameDecoder (frame.h) cuts it out. A type is positive
// when it asks and negative when it answers. A tag ties an answer to what was asked.
//
// Lifetime: views point into the bytes given. Threading: pure. Errors: an Outcome and a static
// reason; what was read of bytes that are not kOk means nothing. A decoder that is given `bytes`
// takes the front of a message too and says kNeedMore when it is cut short; one that is given a
// `body` takes the whole. Everything is bounded before it is believed; lengths of two bytes go up
// to 32767, as Finagle reads them as signed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/contexts.h"
#include "base/outcome.h"

namespace trestle::mux {

using base::DecodeResult;
using base::Outcome;

enum class Type : int8_t {
  kTreq = 1,
  kRreq = -1,
  kTdispatch = 2,
  kRdispatch = -2,
  kTdrain = 64,
  kRdrain = -64,
  kTping = 65,
  kRping = -65,
  kTdiscarded = 66,
  kRdiscarded = -66,
  kTlease = 67,
  kTinit = 68,
  kRinit = -68,
  kRerr = -128,
  // Finagle writes these two instead of -128 and 66; both are read, these are written.
  kOldRerr = 127,
  kOldTdiscarded = -62,
};
// "Tdispatch", …; "unknown".
const char* TypeName(Type type);
// The old numbers made new; nothing for a number that nobody defined.
std::optional<Type> KnownType(int8_t wire);
// Whether messages of this type may come in fragments.
constexpr bool MayBeSplit(Type type) {
  return type == Type::kTdispatch || type == Type::kRdispatch;
}

inline constexpr uint32_t kMarkerTag = 0;   // of what gets no answer: Tdiscarded, Tlease
inline constexpr uint32_t kControlTag = 1;  // Tinit, Tping, Tdrain
inline constexpr uint32_t kFirstTag = 2;    // of calls
inline constexpr uint32_t kMaxTag = 0x7fffff;
inline constexpr uint32_t kMoreBit = 0x800000;  // of the tag on the wire: a fragment, more follow

inline constexpr uint32_t kHeadBytes = 8;  // size, type and tag
inline constexpr uint32_t kMaxPiece = 32'767;

// Bounds on what stands before the payload of one dispatch.
inline constexpr uint32_t kMaxContexts = 1000;
inline constexpr uint32_t kMaxDentries = 1000;
inline constexpr uint32_t kMaxHeaderBytes = 256 * 1024;

// An entry of a local dtab, as text.
struct Dentry {
  std::string_view prefix, tree;
};

// Tdispatch: `nctx:2 (key~2 value~2){nctx} dst~2 nd:2 (prefix~2 tree~2){nd} payload`.
struct Dispatch {
  base::Contexts contexts;
  std::string_view dst;
  std::vector<Dentry> dtab;
  // Forgets everything but the memory of the lists.
  void Clear();
};
// Reads what stands before the payload; *size is where the payload begins.
DecodeResult DecodeDispatch(std::string_view bytes, Dispatch* out, uint32_t* size);
// Why a peer would not read what was written of it: a length over kMaxPiece, too many entries, too
// many bytes; nullptr when it would.
const char* Misfit(const Dispatch& dispatch);
// Appends. What has no room is left out, so ask Misfit where that matters: entries with a length
// over kMaxPiece, those past the bounds, a dst that is too long.
void EncodeDispatch(const Dispatch& dispatch, std::string* out);

// Treq: `n:1 (key:1 value~1){n} payload`; key 1 is a trace, key 2 its flags. Given as the contexts
// that a Tdispatch would have: the TraceContext is made in `trace`, which outlives `out`. Neither
// dst nor dtab.
DecodeResult DecodeOldRequest(std::string_view bytes, std::string* trace, Dispatch* out,
                              uint32_t* size);

enum class ReplyStatus : uint8_t { kOk = 0, kError = 1, kNack = 2 };
// Rdispatch: `status:1 nctx:2 (key~2 value~2){nctx} payload`.
struct DispatchReply {
  ReplyStatus status = ReplyStatus::kOk;
  base::Contexts contexts;
};
DecodeResult DecodeDispatchReply(std::string_view bytes, DispatchReply* out, uint32_t* size);
const char* Misfit(const DispatchReply& reply);
void EncodeDispatchReply(const DispatchReply& reply, std::string* out);  // appends
// Rreq: `status:1 payload`.
DecodeResult DecodeOldReply(std::string_view bytes, DispatchReply* out, uint32_t* size);

// The bits of the context MuxFailure.
inline constexpr uint64_t kRetryable = 1, kRejected = 2, kNonRetryable = 4;
// Nothing without the context, or when it has fewer than 8 bytes.
std::optional<uint64_t> FailureFlags(const base::Contexts& contexts);
std::string ShowFailureFlags(uint64_t flags);  // 8 bytes

// Tinit and Rinit: `version:2 (key~4 value~4)*`.
inline constexpr uint16_t kVersion = 1;
inline constexpr std::string_view kFramerKey = "mux-framer";  // i32: the largest body wanted
inline constexpr std::string_view kTlsKey = "tls";            // off, desired, required
inline constexpr std::string_view kProbe = "tinit check";     // text of the Rerr that comes first
struct Init {
  uint16_t version = kVersion;
  base::Contexts headers;
};
// At most 100 headers and 64 KiB.
DecodeResult DecodeInit(std::string_view body, Init* out);
void EncodeInit(const Init& init, std::string* out);  // appends
// The largest body that the writer of the headers wants in one frame; nothing: no limit.
std::optional<uint32_t> FramerOf(const Init& init);
std::string ShowFramer(uint32_t bytes);  // 4 bytes

// Whether one side wants a session to go over to TLS once both have said what they want.
enum class TlsLevel : uint8_t { kOff, kDesired, kRequired };
std::string_view TlsLevelName(TlsLevel level);  // "off", …
TlsLevel TlsLevelOf(const Init& init);          // kOff where it says nothing that is known
// What becomes of it; it does not matter who of them is which.
enum class TlsChoice : uint8_t { kClear, kTls, kRefuse };
TlsChoice ChooseTls(TlsLevel one, TlsLevel other);
inline constexpr std::string_view kNoTlsChoice = "Could not negotiate whether to use TLS or not.";

// Who asks for smaller ones asks for more work than its bytes are worth.
inline constexpr uint32_t kLeastFragment = 64;

// Tdiscarded: `which:3 why`.
struct Discarded {
  uint32_t tag = 0;
  std::string_view why;
};
DecodeResult DecodeDiscarded(std::string_view body, Discarded* out);
void EncodeDiscarded(const Discarded& discarded, std::string* out);  // appends

// Tlease: `unit:1 howmuch:8`; unit 0 is milliseconds. Nothing for another unit. At most 2^32 - 1
// ms, Finagle's longest; a negative one is 0.
DecodeResult DecodeLease(std::string_view body, std::optional<base::Duration>* out);

// Writes `size:4 type:1 tag:3` for a body of `body` bytes; `more`: a fragment, more follow.
void WriteHead(Type type, uint32_t tag, bool more, uint64_t body, char* to);
// A whole message without payload of its own: Tping, Rerr, Rdiscarded, …
std::string ShowMessage(Type type, uint32_t tag, std::string_view body = {});

// Whether the first bytes of a connection to a ThriftMux port are mux rather than Thrift: `kOk`
// mux, `kMalformed` not mux, kNeedMore for fewer than 6 bytes that may be. Told by the type and the
// tag behind the length: a mux session begins with a T message that a client may send (Treq,
// Tdispatch, Tping, Tinit, Tdiscarded) or an Rerr. The tag is under 65536, as real ones are, but
// for Treq and Tdispatch, whose numbers nothing of Thrift has in that place.
DecodeResult LooksLikeMux(std::string_view first);

}  // namespace trestle::mux
