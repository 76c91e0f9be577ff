#include "bench/echo_message.h"

#include <algorithm>
#include <cstring>

namespace trestle::bench {
namespace {

void Put32(uint32_t v, char* to) {
  for (int i = 0; i < 4; i++) to[i] = static_cast<char>(v >> (24 - 8 * i));
}

void Add32(uint32_t v, std::string* out) {
  out->append(4, '\0');
  Put32(v, out->data() + out->size() - 4);
}

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

std::string Frame(char type, std::string_view name, char field, const std::string& payload) {
  std::string out(4, '\0');
  out += {'\x80', '\x01', '\x00', type};
  Add32(static_cast<uint32_t>(name.size()), &out);
  out += name;
  Add32(0, &out);                  // seqid
  out += {'\x0b', '\x00', field};  // a string
  Add32(static_cast<uint32_t>(payload.size()), &out);
  out += payload;
  out += '\0';  // no more fields
  Put32(static_cast<uint32_t>(out.size() - 4), out.data());
  return out;
}

// How many bytes at the front of both are the same.
size_t Same(const char* a, const char* b, size_t n) {
  if (std::memcmp(a, b, n) == 0) return n;
  return static_cast<size_t>(std::mismatch(a, a + n, b).first - a);
}

}  // namespace

EchoMessage::EchoMessage(std::string_view name, uint32_t payload_bytes)
    : seqid_at_(12 + name.size()) {
  const std::string payload = Payload(payload_bytes);
  call_ = Frame('\x01', name, '\x01', payload);
  reply_ = Frame('\x02', name, '\x00', payload);
}

void EchoMessage::AppendCall(uint32_t seqid, std::string* out) const {
  const size_t at = out->size() + seqid_at_;
  out->append(call_);
  Put32(seqid, out->data() + at);
}

ReplyCheck::Outcome ReplyCheck::Feed(std::string_view bytes, size_t* used) {
  const std::string& right = message_->reply();
  const size_t seqid_at = message_->seqid_at();
  if (at_ == right.size()) at_ = 0;
  *used = 0;
  while (*used < bytes.size() && at_ < right.size()) {
    if (at_ >= seqid_at && at_ < seqid_at + 4) {
      seqid_ = seqid_ << 8 | static_cast<unsigned char>(bytes[*used]);
      ++*used;
      ++at_;
      continue;
    }
    const size_t end = at_ < seqid_at ? seqid_at : right.size();
    const size_t n = std::min(bytes.size() - *used, end - at_);
    const size_t same = Same(bytes.data() + *used, right.data() + at_, n);
    *used += same;
    at_ += same;
    if (same < n) return Outcome::kWrong;
  }
  return at_ == right.size() ? Outcome::kWhole : Outcome::kMore;
}

}  // namespace trestle::bench
