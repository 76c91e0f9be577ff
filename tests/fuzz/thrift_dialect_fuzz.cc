// The dialect of a connection: a verdict once given stays whatever comes behind, eight bytes are
// enough for one, and what a hint fixes holds, but for the protocol of a THeader, which is told by
// each message.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "thrift/dialect.h"

namespace {

using trestle::thrift::DetectDialect;
using trestle::thrift::Dialect;
using trestle::thrift::DialectHint;
using trestle::thrift::Framing;
using trestle::thrift::kDetectBytes;
using trestle::thrift::Outcome;
using trestle::thrift::Protocol;

void Check(bool good) {
  if (!good) std::abort();
}

}  // namespace

// The first byte chooses the hint.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  DialectHint hint;
  if (data[0] & 1) hint.framing = data[0] & 2 ? Framing::kFramed : Framing::kBuffered;
  if (data[0] & 32) hint.framing = Framing::kTHeader;
  if (data[0] & 4) hint.protocol = data[0] & 8 ? Protocol::kBinary : Protocol::kCompact;
  const uint32_t max = data[0] & 16 ? 100 : 1u << 24;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  Outcome before = Outcome::kNeedMore;
  Dialect verdict;
  for (size_t n = 0; n <= std::min<size_t>(bytes.size(), 2 * kDetectBytes); n++) {
    Dialect found;
    const auto result = DetectDialect(bytes.substr(0, n), hint, max, &found);
    Check((result.outcome == Outcome::kMalformed) == (result.why[0] != '\0'));
    Check(n < kDetectBytes || result.outcome != Outcome::kNeedMore);
    if (before != Outcome::kNeedMore) Check(result.outcome == before && found == verdict);
    if (result.outcome == Outcome::kOk) {
      Check(!hint.framing || *hint.framing == found.framing);
      const bool fixed = hint.framing && hint.protocol;
      const bool says = fixed || found.framing != Framing::kTHeader;
      Check(says ? !hint.protocol || *hint.protocol == found.protocol
                 : found.protocol == Protocol::kBinary);
    }
    before = result.outcome;
    verdict = found;
  }
  return 0;
}
