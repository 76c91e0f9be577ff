#include "thrift/buffered.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "thrift/lookalike.h"
#include "thrift/ttwitter.h"

namespace trestle::thrift {
namespace {

constexpr size_t kMaxEnvelope = MaxEnvelopeSize(kMaxNameBytes);

// The slice that byte `at` of `in` stands in; *offset is its place there. The way from the nearer
// end: bytes that come one by one are not paid for with a way over all that came before.
uint32_t FindSlice(const base::Buffer& in, size_t at, size_t* offset) {
  uint32_t i = 0;
  if (at <= in.size() / 2) {
    for (; i < in.slices() && at >= in.slice(i).size(); i++) at -= in.slice(i).size();
    *offset = at;
    return i;
  }
  size_t fresh = in.size() - at;
  i = in.slices();
  *offset = 0;
  while (fresh > 0) {
    const size_t size = in.slice(--i).size();
    *offset = size - std::min(size, fresh);
    fresh -= std::min(size, fresh);
  }
  return i;
}

}  // namespace

Outcome BufferedDecoder::Fail(std::string why) {
  why_ = std::move(why);
  return Outcome::kMalformed;
}

Outcome BufferedDecoder::FailOver() {
  if (part_ == Part::kHeader && max_ > kMaxHeaderBytes) {
    return Fail("a header over the bound of " + std::to_string(kMaxHeaderBytes) + " bytes");
  }
  return Fail("a message over the bound of " + std::to_string(max_) + " bytes");
}

void BufferedDecoder::Begin(bool with_header) {
  part_ = with_header ? Part::kHeader : Part::kEnvelope;
  if (with_header) walker_.Reset(std::min(max_, kMaxHeaderBytes));
}

Outcome BufferedDecoder::Next(base::Buffer* in, bool with_header, base::Buffer* message) {
  if (!why_.empty()) return Outcome::kMalformed;
  if (walked_ == 0) Begin(with_header);
  size_t offset = 0;
  for (uint32_t i = FindSlice(*in, walked_, &offset); i < in->slices(); i++) {
    std::string_view rest = in->slice(i).view().substr(offset);
    offset = 0;
    while (!rest.empty()) {
      size_t used = 0;
      const Outcome outcome = Take(rest, &used);
      if (outcome == Outcome::kMalformed) return outcome;
      walked_ += used;
      rest.remove_prefix(used);
      if (outcome == Outcome::kNeedMore) continue;
      if (part_ == Part::kBody) walker_.Reset(static_cast<uint32_t>(Room()));
      if (part_ != Part::kEnd) continue;
      *message = in->Split(std::exchange(walked_, 0));
      return Outcome::kOk;
    }
  }
  return Outcome::kNeedMore;
}

Outcome BufferedDecoder::Take(std::string_view rest, size_t* used) {
  if (part_ == Part::kEnvelope) return TakeEnvelope(rest, used);
  const DecodeResult result = walker_.Feed(rest, used);
  if (result.outcome == Outcome::kMalformed) {
    return result.why == kOverBound ? FailOver() : Fail(result.why);
  }
  if (result.outcome == Outcome::kOk) {
    part_ = part_ == Part::kHeader ? Part::kEnvelope : Part::kEnd;
  }
  return result.outcome;
}

// Nearly every envelope lies in one slice and is read there; only one that does not is put together
// in head_, so that its bytes are copied once however they come.
Outcome BufferedDecoder::TakeEnvelope(std::string_view rest, size_t* used) {
  const size_t before = head_.size();
  std::string_view head = rest;
  if (before > 0) head = head_.append(rest.substr(0, kMaxEnvelope - before));
  Envelope envelope;
  const DecodeResult result = DecodeEnvelope(protocol_, head, &envelope);
  switch (result.outcome) {
    case Outcome::kNeedMore:
      // Fewer bytes than the longest envelope has, so all of `rest` are in `head`.
      if (head.size() >= Room() + before) return FailOver();
      if (before == 0) head_.assign(rest);
      *used = rest.size();
      return Outcome::kNeedMore;
    case Outcome::kOk:
      // A body has a byte at least.
      if (envelope.size >= Room() + before) return FailOver();
      *used = envelope.size - before;
      if (before > 0) std::string().swap(head_);
      part_ = Part::kBody;
      return Outcome::kOk;
    case Outcome::kMalformed:
      break;
  }
  const char* looks = LooksLikeStranger(head);
  if (!looks && protocol_ == Protocol::kCompact) looks = LooksLikeFramed(head);
  return Fail(looks ? std::string(result.why) + " (" + looks + ")" : result.why);
}

}  // namespace trestle::thrift
