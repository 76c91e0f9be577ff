#include "mux/message.h"

#include <algorithm>

#include "mux/reader.h"

namespace trestle::mux {
namespace {

// Longer than any lease that Finagle can give (32 bits of milliseconds), and no time to add it to
// overflows.
constexpr uint64_t kLongestLease = 0xffff'ffff;

// For a body that is there as a whole: what is cut short is malformed.
DecodeResult Whole(const DecodeResult& result) {
  if (result.outcome != Outcome::kNeedMore) return result;
  return {Outcome::kMalformed, result.why};
}

char* Put(uint64_t value, int bytes, char* to) {
  for (int i = bytes; i > 0; i--) *to++ = static_cast<char>(value >> (8 * (i - 1)));
  return to;
}

// The number that is written for a type: Finagle's old ones.
Type Written(Type type) {
  if (type == Type::kRerr) return Type::kOldRerr;
  if (type == Type::kTdiscarded) return Type::kOldTdiscarded;
  return type;
}

}  // namespace

const char* TypeName(Type type) {
  switch (type) {
    case Type::kTreq:
      return "Treq";
    case Type::kRreq:
      return "Rreq";
    case Type::kTdispatch:
      return "Tdispatch";
    case Type::kRdispatch:
      return "Rdispatch";
    case Type::kTdrain:
      return "Tdrain";
    case Type::kRdrain:
      return "Rdrain";
    case Type::kTping:
      return "Tping";
    case Type::kRping:
      return "Rping";
    case Type::kTdiscarded:
    case Type::kOldTdiscarded:
      return "Tdiscarded";
    case Type::kRdiscarded:
      return "Rdiscarded";
    case Type::kTlease:
      return "Tlease";
    case Type::kTinit:
      return "Tinit";
    case Type::kRinit:
      return "Rinit";
    case Type::kRerr:
    case Type::kOldRerr:
      return "Rerr";
  }
  return "unknown";
}

std::optional<Type> KnownType(int8_t wire) {
  const Type type{wire};
  switch (type) {
    case Type::kTreq:
    case Type::kRreq:
    case Type::kTdispatch:
    case Type::kRdispatch:
    case Type::kTdrain:
    case Type::kRdrain:
    case Type::kTping:
    case Type::kRping:
    case Type::kTdiscarded:
    case Type::kRdiscarded:
    case Type::kTlease:
    case Type::kTinit:
    case Type::kRinit:
    case Type::kRerr:
      return type;
    case Type::kOldRerr:
      return Type::kRerr;
    case Type::kOldTdiscarded:
      return Type::kTdiscarded;
  }
  return std::nullopt;
}

// The tag has 23 bits; the bit above them means nothing here.
DecodeResult DecodeDiscarded(std::string_view body, Discarded* out) {
  Reader reader(body, body.size(), "cut short");
  if (!reader.Number<3>(&out->tag)) return Whole(reader.result());
  out->tag &= kMaxTag;
  out->why = body.substr(reader.at());
  return {Outcome::kOk};
}

void EncodeDiscarded(const Discarded& discarded, std::string* out) {
  char which[3];
  Put(discarded.tag & kMaxTag, 3, which);
  out->append(which, 3).append(discarded.why);
}

DecodeResult DecodeLease(std::string_view body, std::optional<base::Duration>* out) {
  Reader reader(body, body.size(), "cut short");
  uint32_t unit = 0;
  uint32_t high = 0;
  uint32_t low = 0;
  out->reset();
  if (!reader.Number<1>(&unit) || !reader.Number<4>(&high) || !reader.Number<4>(&low)) {
    return Whole(reader.result());
  }
  if (unit != 0) return {Outcome::kOk};
  // A negative number is a lease that has ended.
  const uint64_t howmuch = high > INT32_MAX ? 0 : uint64_t{high} << 32 | low;
  *out = std::chrono::milliseconds(std::min(howmuch, kLongestLease));
  return {Outcome::kOk};
}

void WriteHead(Type type, uint32_t tag, bool more, uint64_t body, char* to) {
  to = Put(4 + body, 4, to);
  to = Put(static_cast<uint8_t>(Written(type)), 1, to);
  Put((tag & kMaxTag) | (more ? kMoreBit : 0), 3, to);
}

std::string ShowMessage(Type type, uint32_t tag, std::string_view body) {
  std::string out(kHeadBytes + body.size(), '\0');
  WriteHead(type, tag, false, body.size(), out.data());
  body.copy(out.data() + kHeadBytes, body.size());
  return out;
}

}  // namespace trestle::mux
