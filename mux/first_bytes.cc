// Mux or Thrift, told from the first bytes of a connection.
#include "mux/message.h"

namespace trestle::mux {
namespace {

constexpr DecodeResult kNotMux{Outcome::kMalformed, "not mux"};

// `80 01 00` and `82` begin unframed Thrift; a TLS hello begins with `16 03`.
bool IsOther(uint8_t first, uint8_t second) {
  return first >= 0x80 || (first == 0x16 && second == 0x03);
}

}  // namespace

// What else may stand where the type is: framed Thrift has `80 01`, `82` or `00` there, THeader
// `0f`, old unframed Thrift the first letter of a name. Three types are letters too, and Rerr's new
// number is 80: for all types but the two that are like nothing else the tag has to be a low one.
DecodeResult LooksLikeMux(std::string_view first) {
  const auto at = [first](size_t i) { return static_cast<uint8_t>(first[i]); };
  if (!first.empty() && IsOther(at(0), first.size() > 1 ? at(1) : 0)) return kNotMux;
  if (first.size() >= 4 && at(0) + at(1) + at(2) == 0 && at(3) < 4) return kNotMux;
  if (first.size() < 5) return {Outcome::kNeedMore};
  const std::optional<Type> type = KnownType(static_cast<int8_t>(first[4]));
  if (!type) return kNotMux;
  switch (*type) {
    case Type::kTreq:
    case Type::kTdispatch:
    case Type::kTping:
    case Type::kTinit:
    case Type::kTdiscarded:
    case Type::kRerr:
      break;
    default:
      return kNotMux;
  }
  if (first.size() < 6) return {Outcome::kNeedMore};
  const bool any = *type == Type::kTdispatch || (*type == Type::kTreq && at(5) < 0x80);
  return any || at(5) == 0 ? DecodeResult{Outcome::kOk} : kNotMux;
}

}  // namespace trestle::mux
