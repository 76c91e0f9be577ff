// THeader: what was read is written and read again without a change, no prefix is judged otherwise
// than the whole, and inflating is bounded and the same however the bytes are cut.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "thrift/theader.h"

namespace {

using trestle::base::Buffer;
using trestle::base::Slice;
using trestle::thrift::DecodeResult;
using trestle::thrift::DecodeTHeader;
using trestle::thrift::Deflate;
using trestle::thrift::EncodeTHeader;
using trestle::thrift::Inflate;
using trestle::thrift::Outcome;
using trestle::thrift::THeader;

void Check(bool good) {
  if (!good) std::abort();
}

void CheckSame(const THeader& a, const THeader& b) {
  Check(a.flags == b.flags && a.seqid == b.seqid && a.protocol == b.protocol && a.zlib == b.zlib);
  Check(a.keys == b.keys);
}

void CheckWritten(const THeader& read, uint32_t size) {
  std::string first;
  Check(EncodeTHeader(read, &first));
  Check(first.size() <= size);
  THeader again;
  uint32_t end = 0;
  const auto frame = static_cast<uint32_t>(first.size());
  Check(DecodeTHeader(first, frame, &again, &end).outcome == Outcome::kOk);
  Check(end == frame);
  CheckSame(read, again);
}

// Whether the frame has a header, and where its payload begins.
bool CheckHeader(std::string_view bytes, THeader* header, uint32_t* size) {
  const auto frame = static_cast<uint32_t>(bytes.size());
  const DecodeResult whole = DecodeTHeader(bytes, frame, header, size);
  Check(whole.outcome != Outcome::kNeedMore);
  Check((whole.outcome == Outcome::kMalformed) == (whole.why[0] != '\0'));
  Outcome before = Outcome::kNeedMore;
  for (size_t n = 0; n < bytes.size(); n = n < 64 ? n + 1 : 2 * n) {
    THeader part;
    uint32_t end = 0;
    const Outcome outcome = DecodeTHeader(bytes.substr(0, n), frame, &part, &end).outcome;
    Check(before == Outcome::kNeedMore || outcome == before);
    Check(outcome == Outcome::kNeedMore || outcome == whole.outcome);
    if (outcome == Outcome::kOk) CheckSame(part, *header);
    before = outcome;
  }
  return whole.outcome == Outcome::kOk;
}

void CheckInflate(std::string_view bytes, uint32_t times, uint32_t max, size_t piece) {
  Buffer pieces;
  for (size_t at = 0; at < bytes.size(); at += piece) {
    pieces.Append(Slice::Copy(bytes.substr(at, piece)));
  }
  Buffer whole;
  Buffer apart;
  const char* why = "";
  const bool good = Inflate(Buffer::Copy(bytes), times, max, &whole, &why);
  Check(good == (why[0] == '\0'));
  Check(good == Inflate(pieces, times, max, &apart, &why));
  Check(whole.ToString() == apart.ToString());
  Check(whole.size() <= max);
  if (!good) return;
  Buffer again;
  Check(Inflate(Deflate(whole), 1, max, &again, &why) && again.ToString() == whole.ToString());
}

}  // namespace

// The first byte tells how the payload is cut, the second how often it is inflated where the bytes
// have no header, and the bound.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const size_t piece = 1 + data[0] % 31;
  const uint32_t max = data[1] & 128 ? 64 : 1u << 16;
  std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  uint32_t times = data[1] & 3;
  THeader header;
  uint32_t end = 0;
  if (CheckHeader(bytes, &header, &end)) {
    Check(end <= bytes.size() && header.zlib <= trestle::thrift::kMaxTHeaderTransforms);
    CheckWritten(header, end);
    times = header.zlib;
    bytes.remove_prefix(end);
  }
  CheckInflate(bytes, times, max, piece);
  return 0;
}
