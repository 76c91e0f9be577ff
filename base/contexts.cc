#include "base/contexts.h"

#include <algorithm>

namespace trestle::base {
namespace {

constexpr size_t kMaxPiece = 32'767;  // Finagle reads lengths of two bytes as signed

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

uint64_t ReadBig(std::string_view bytes, size_t at, size_t n) {
  uint64_t value = 0;
  for (size_t i = 0; i < n; i++) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
  return value;
}

void PutBig(uint64_t value, size_t n, std::string* out) {
  for (size_t i = n; i > 0; i--) out->push_back(static_cast<char>(value >> (8 * (i - 1))));
}

int64_t ReadI64(std::string_view bytes, size_t at) {
  return static_cast<int64_t>(ReadBig(bytes, at, 8));
}

WallTime Wall(int64_t nanoseconds) { return WallTime(Duration(nanoseconds)); }

// `n:2` and n bytes from `*at` on.
bool Piece(std::string_view bytes, size_t* at, std::string_view* piece) {
  if (bytes.size() - *at < 2) return false;
  const size_t n = ReadBig(bytes, *at, 2);
  *at += 2;
  if (n > kMaxPiece || bytes.size() - *at < n) return false;
  *piece = bytes.substr(*at, n);
  *at += n;
  return true;
}

}  // namespace

bool IsKey(std::string_view key, std::string_view known) {
  return key.size() == known.size() &&
         std::equal(key.begin(), key.end(), known.begin(),
                    [](char a, char b) { return Lower(a) == Lower(b); });
}

std::optional<std::string_view> Find(const Contexts& contexts, std::string_view key) {
  for (auto it = contexts.rbegin(); it != contexts.rend(); ++it) {
    if (IsKey(it->key, key)) return it->value;
  }
  return std::nullopt;
}

std::optional<TraceContext> ParseTrace(std::string_view value) {
  if (value.size() != 32 && value.size() != 40) return std::nullopt;
  TraceContext trace{ReadI64(value, 0), ReadI64(value, 8), ReadI64(value, 16), ReadI64(value, 24),
                     std::nullopt};
  if (value.size() == 40) trace.trace_high = ReadI64(value, 32);
  return trace;
}

std::string ShowTrace(const TraceContext& trace) {
  std::string out;
  for (int64_t part : {trace.span, trace.parent, trace.trace, trace.flags}) {
    PutBig(static_cast<uint64_t>(part), 8, &out);
  }
  if (trace.trace_high) PutBig(static_cast<uint64_t>(*trace.trace_high), 8, &out);
  return out;
}

std::optional<Deadline> ParseDeadline(std::string_view value) {
  if (value.size() != 16) return std::nullopt;
  return Deadline{Wall(ReadI64(value, 0)), Wall(ReadI64(value, 8))};
}

std::string ShowDeadline(const Deadline& deadline) {
  std::string out;
  PutBig(static_cast<uint64_t>(deadline.timestamp.time_since_epoch().count()), 8, &out);
  PutBig(static_cast<uint64_t>(deadline.deadline.time_since_epoch().count()), 8, &out);
  return out;
}

std::optional<uint32_t> ParseHops(std::string_view value) {
  if (value.size() != 4) return std::nullopt;
  return static_cast<uint32_t>(ReadBig(value, 0, 4));
}

std::string ShowHops(uint32_t hops) {
  std::string out;
  PutBig(hops, 4, &out);
  return out;
}

bool ParseApplicationHeaders(std::string_view value, Contexts* out) {
  const size_t before = out->size();
  for (size_t at = 0; at < value.size();) {
    KeyValue pair;
    if (!Piece(value, &at, &pair.key) || !Piece(value, &at, &pair.value)) {
      out->resize(before);
      return false;
    }
    out->push_back(pair);
  }
  return true;
}

std::string ShowApplicationHeaders(const Contexts& headers) {
  std::string out;
  for (const KeyValue& pair : headers) {
    if (pair.key.size() > kMaxPiece || pair.value.size() > kMaxPiece) continue;
    PutBig(pair.key.size(), 2, &out);
    out.append(pair.key);
    PutBig(pair.value.size(), 2, &out);
    out.append(pair.value);
  }
  return out;
}

}  // namespace trestle::base
