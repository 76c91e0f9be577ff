#include "thrift/one_message.h"

#include <algorithm>

namespace trestle::thrift {
namespace {

constexpr char kMore[] = "the frame holds more than its message";
constexpr char kLess[] = "the frame ends inside its message";

}  // namespace

// Bounded by its frame, the walker tells at the head of a string that it ends behind it.
OneMessage::OneMessage(Protocol protocol, uint64_t size)
    : left_(size), walker_(protocol, static_cast<uint32_t>(std::min<uint64_t>(size, INT32_MAX))) {}

const char* OneMessage::Feed(const base::Buffer& bytes, size_t from) {
  for (uint32_t i = 0; i < bytes.slices(); i++) {
    const std::string_view here = bytes.slice(i).view();
    if (from >= here.size()) {
      from -= here.size();
      continue;
    }
    if (const char* why = Take(here.substr(from))) return why;
    from = 0;
  }
  return left_ == 0 && !ended_ ? kLess : nullptr;
}

const char* OneMessage::Take(std::string_view bytes) {
  if (ended_ || bytes.size() > left_) return kMore;
  size_t used = 0;
  const DecodeResult result = walker_.Feed(bytes, &used);
  if (result.outcome == Outcome::kMalformed) return result.why == kOverBound ? kLess : result.why;
  left_ -= used;
  ended_ = result.outcome == Outcome::kOk;
  return ended_ && left_ > 0 ? kMore : nullptr;
}

}  // namespace trestle::thrift
