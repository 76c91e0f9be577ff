#include "bench/echo_message.h"

#include <algorithm>
#include <cstring>

#include "bench/bytes.h"
#include "bench/mux_wire.h"

namespace trestle::bench {
namespace {

constexpr std::string_view kTraceKey = "com.twitter.finagle.tracing.TraceContext";
constexpr std::string_view kRetriesKey = "com.twitter.finagle.Retries";

// Bytes without a pattern that a shifted or repeated piece could fit into by chance.
std::string Payload(uint32_t bytes) {
  std::string out(bytes, '\0');
  uint32_t state = 1;
  for (char& c : out) {
    state = state * 1664525 + 1013904223;
    c = static_cast<char>(state >> 24);
  }
  return out;
}

std::string Message(char type, std::string_view name, char field, const std::string& payload) {
  std::string out{'\x80', '\x01', '\x00', type};
  Add<4>(name.size(), &out);
  out += name;
  Add<4>(0, &out);                 // seqid
  out += {'\x0b', '\x00', field};  // a string
  Add<4>(payload.size(), &out);
  out += payload;
  out += '\0';  // no more fields
  return out;
}

std::string Framed(const std::string& message) {
  std::string out;
  Add<4>(message.size(), &out);
  return out += message;
}

// What stands before the message in a Tdispatch.
std::string DispatchHead() {
  std::string out;
  Add<2>(2, &out);
  Add<2>(kTraceKey.size(), &out);
  out += kTraceKey;
  Add<2>(32, &out);
  out.append(32, '\0');  // span, parent, trace, flags
  Add<2>(kRetriesKey.size(), &out);
  out += kRetriesKey;
  Add<2>(4, &out);
  out.append(4, '\0');
  out.append(4, '\0');  // no destination, no dtab
  return out;
}
constexpr size_t kTraceAt = kMuxHead + 2 + 2 + kTraceKey.size() + 2;

// How many bytes at the front of both are the same.
size_t Same(const char* a, const char* b, size_t n) {
  if (std::memcmp(a, b, n) == 0) return n;
  return static_cast<size_t>(std::mismatch(a, a + n, b).first - a);
}

}  // namespace

EchoMessage::EchoMessage(Dialect dialect, std::string_view name, uint32_t payload_bytes)
    : dialect_(dialect) {
  const std::string payload = Payload(payload_bytes);
  const std::string call = Message('\x01', name, '\x01', payload);
  const std::string reply = Message('\x02', name, '\x00', payload);
  if (dialect == Dialect::kFramed) {
    call_ = Framed(call);
    reply_.bytes = Framed(reply);
  } else {
    call_ = MuxMessage(kTdispatch, 0, DispatchHead() + call);
    reply_.bytes = MuxMessage(kRdispatch, 0, std::string(3, '\0') + reply);  // ok, no contexts
    ping_.bytes = MuxMessage(kTping, 0, {});
    ping_.holes = reply_.holes = {{kMuxTagAt, 3, &Ids::tag}};
    trace_at_ = kTraceAt;
  }
  const size_t seqid_at_of_message = 8 + name.size();
  seqid_at_ = call_.size() - call.size() + seqid_at_of_message;
  const size_t at = reply_.bytes.size() - reply.size() + seqid_at_of_message;
  reply_.holes.push_back({at, 4, &Ids::seqid});
}

void EchoMessage::AppendCall(const Ids& ids, std::string* out) const {
  const size_t begin = out->size();
  out->append(call_);
  char* call = out->data() + begin;
  Put<4>(ids.seqid, call + seqid_at_);
  if (dialect_ == Dialect::kFramed) return;
  Put<3>(ids.tag, call + kMuxTagAt);
  // The first span of a trace: its own parent, and the name of the trace.
  for (size_t i = 0; i < 3; i++) Put<8>(ids.trace, call + trace_at_ + 8 * i);
}

ReplyCheck::Outcome ReplyCheck::Feed(std::string_view bytes, size_t* used) {
  if (at_ == pattern_->bytes.size()) {
    pattern_ = &message_->reply_;
    at_ = hole_ = 0;
    ids_ = {};
  }
  *used = 0;
  while (*used < bytes.size() && at_ < pattern_->bytes.size()) {
    if (!Step(bytes, used) && !MayBePing()) return Outcome::kWrong;
  }
  if (at_ < pattern_->bytes.size()) return Outcome::kMore;
  return pattern_ == &message_->ping_ ? Outcome::kPing : Outcome::kWhole;
}

// Goes on to the next hole, or by a byte of one.
bool ReplyCheck::Step(std::string_view bytes, size_t* used) {
  const std::string& right = pattern_->bytes;
  const auto& holes = pattern_->holes;
  if (hole_ < holes.size() && at_ >= holes[hole_].at) {
    const EchoMessage::Hole& hole = holes[hole_];
    uint32_t& number = ids_.*hole.number;
    number = number << 8 | static_cast<unsigned char>(bytes[*used]);
    ++*used;
    if (++at_ == hole.at + hole.size) ++hole_;
    return true;
  }
  const size_t end = hole_ < holes.size() ? holes[hole_].at : right.size();
  const size_t n = std::min(bytes.size() - *used, end - at_);
  const size_t same = Same(bytes.data() + *used, right.data() + at_, n);
  *used += same;
  at_ += same;
  return same == n;
}

// Where the reply ends to be right; the first bytes of both are the same.
bool ReplyCheck::MayBePing() {
  const std::string& ping = message_->ping_.bytes;
  if (pattern_ == &message_->ping_ || at_ >= kMuxTagAt || at_ >= ping.size() ||
      pattern_->bytes.compare(0, at_, ping, 0, at_) != 0) {
    return false;
  }
  pattern_ = &message_->ping_;
  return true;
}

}  // namespace trestle::bench
