// Contexts: the key/value list that Finagle sends beside a call, in a mux dispatch and in a
// TTwitter header alike, and the values of the keys that a router has to understand. All others go
// on as they came.
//
// Lifetime: views point into the bytes given. Threading: pure. Errors: a value that does not parse
// is as if it were not there.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

namespace trestle::base {

struct KeyValue {
  std::string_view key, value;
  friend bool operator==(const KeyValue&, const KeyValue&) = default;
};
using Contexts = std::vector<KeyValue>;

// Keys; they are compared without case, and of equal ones the last holds.
inline constexpr std::string_view kTraceKey = "com.twitter.finagle.tracing.TraceContext";
inline constexpr std::string_view kDeadlineKey = "com.twitter.finagle.Deadline";
inline constexpr std::string_view kClientIdKey = "com.twitter.finagle.thrift.ClientIdContext";
inline constexpr std::string_view kRequestHeadersKey = "com.twitter.finagle.thrift.Request.headers";
inline constexpr std::string_view kResponseHeadersKey =
    "com.twitter.finagle.thrift.Response.headers";
inline constexpr std::string_view kMuxFailureKey = "MuxFailure";
// Ours: how many routers a call went through.
inline constexpr std::string_view kHopsKey = "io.trestle.Hops";

bool IsKey(std::string_view key, std::string_view known);
// The value of the last one with this key.
std::optional<std::string_view> Find(const Contexts& contexts, std::string_view key);

// TraceContext: `span:8 parent:8 trace:8 flags:8 (traceHigh:8)?`.
struct TraceContext {
  int64_t span = 0, parent = 0, trace = 0, flags = 0;
  std::optional<int64_t> trace_high;
  friend bool operator==(const TraceContext&, const TraceContext&) = default;
};
std::optional<TraceContext> ParseTrace(std::string_view value);
std::string ShowTrace(const TraceContext& trace);

// Deadline: `timestamp:8 deadline:8`, nanoseconds since 1970. `timestamp`: when it was set.
struct Deadline {
  WallTime timestamp, deadline;
  friend bool operator==(const Deadline&, const Deadline&) = default;
};
std::optional<Deadline> ParseDeadline(std::string_view value);
std::string ShowDeadline(const Deadline& deadline);

// Hops: `count:4`.
std::optional<uint32_t> ParseHops(std::string_view value);
std::string ShowHops(uint32_t hops);

// Request.headers and Response.headers: `(key~2 value~2)*`, lengths up to 32767. Appends to `out`;
// false when it does not parse.
bool ParseApplicationHeaders(std::string_view value, Contexts* out);
std::string ShowApplicationHeaders(const Contexts& headers);

}  // namespace trestle::base
