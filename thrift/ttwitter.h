// TTwitter: Finagle's header in front of every Thrift message, once a connection was upgraded.
//
// Lifetime: views point into the bytes given. Threading: pure. Errors: Outcome and a static reason.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/contexts.h"
#include "thrift/message.h"
#include "thrift/reader.h"

namespace trestle::thrift {

// The method whose call asks for the upgrade.
inline constexpr std::string_view kUpgradeMethod = "__can__finagle__trace__v3__";

// Bounds on one header.
inline constexpr uint32_t kMaxHeaderBytes = 256 * 1024;
inline constexpr uint32_t kMaxContexts = 1000;
inline constexpr uint32_t kMaxDelegations = 1000;
inline constexpr uint32_t kMaxUnknownFields = 1000;

struct RequestHeader {
  using Context = base::KeyValue;
  struct Delegation {
    std::string_view src, dst;
  };
  std::optional<int64_t> trace_id, span_id, parent_span_id, trace_id_high, flags;
  std::optional<bool> sampled;
  std::optional<std::string_view> client_id;
  std::optional<std::string_view> dest;
  // A field that is none of the above, as it was written behind its head: carried on.
  struct Unknown {
    Field field;
    std::string_view value;
  };
  std::vector<Context> contexts;
  std::vector<Delegation> delegations;
  std::vector<Unknown> unknown;  // in the order of arrival
  // What the values of `unknown` are written in; they go out in no other.
  Protocol unknown_protocol = Protocol::kBinary;

  // Forgets everything but the memory of the lists: one RequestHeader serves many calls.
  void Clear();
};

// Reads a RequestHeader from the front of `bytes`; *size is where the message begins. Unknown
// fields and known ids of another type are kept as they are; of equal known ids the last one holds.
// Bounded in depth (64), counts (unknown fields: 1000) and bytes: over 262144 bytes is malformed as
// soon as it is known, never kNeedMore.
DecodeResult DecodeRequestHeader(Protocol protocol, std::string_view bytes, RequestHeader* out,
                                 uint32_t* size);
// Appends the header's bytes: fields in the order 1,2,3,5,6,7,8,9,10,11, absent ones left out
// (contexts always written, as Finagle does), then the unknown ones, if they came in `protocol`.
void EncodeRequestHeader(Protocol protocol, const RequestHeader& header, std::string* out);

// An empty ResponseHeader is one stop byte in either protocol.
inline constexpr std::string_view kEmptyResponseHeader{"\0", 1};
// Reads the contexts of a ResponseHeader, bounded as those of a RequestHeader are; its other fields
// are walked over.
DecodeResult DecodeResponseHeader(Protocol protocol, std::string_view bytes, base::Contexts* out,
                                  uint32_t* size);
// Appends a ResponseHeader; without contexts the empty one.
void EncodeResponseHeader(Protocol protocol, const base::Contexts& contexts, std::string* out);
// Walks over a ResponseHeader.
DecodeResult SkipResponseHeader(Protocol protocol, std::string_view bytes, uint32_t* size);

// The whole messages (no frame length) of the upgrade: call, and the reply that accepts.
std::string EncodeUpgradeCall(Protocol protocol);
std::string EncodeUpgradeReply(Protocol protocol, int32_t seqid);

}  // namespace trestle::thrift
