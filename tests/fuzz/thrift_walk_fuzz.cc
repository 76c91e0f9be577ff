// Walker: for every struct and every cut into pieces it ends where SkipStruct ends, and refuses
// what SkipStruct refuses.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>

#include "thrift/reader.h"
#include "thrift/walk.h"

namespace {

using trestle::thrift::DecodeResult;
using trestle::thrift::Outcome;
using trestle::thrift::Protocol;
using trestle::thrift::Walker;

void Check(bool good) {
  if (!good) std::abort();
}

struct Walk {
  DecodeResult result{Outcome::kNeedMore};
  size_t size = 0;
};

// Pieces of 1 to `most` bytes, of lengths that `seed` gives, each alone in its memory.
Walk Feed(Protocol protocol, uint32_t limit, std::string_view bytes, size_t most, uint32_t seed) {
  Walk walk;
  Walker walker(protocol, limit);
  while (!bytes.empty() && walk.result.outcome == Outcome::kNeedMore) {
    seed = seed * 1664525 + 1013904223;
    const size_t n = std::min<size_t>(bytes.size(), 1 + (seed >> 16) % most);
    const auto piece = std::make_unique<char[]>(n);
    std::memcpy(piece.get(), bytes.data(), n);
    size_t used = 0;
    walk.result = walker.Feed({piece.get(), n}, &used);
    Check(used <= n && (walk.result.outcome != Outcome::kNeedMore || used == n));
    walk.size += used;
    bytes.remove_prefix(n);
  }
  return walk;
}

void CheckLike(const DecodeResult& want, uint32_t size, const Walk& walk) {
  const Outcome got = walk.result.outcome;
  if (want.outcome == Outcome::kOk || got == Outcome::kOk) {
    Check(got == want.outcome && walk.size == size);
  } else {
    // The reader wants a list's bytes at hand before it looks at them, the walker does not.
    Check(want.outcome != Outcome::kMalformed || got == Outcome::kMalformed);
  }
  Check((got == Outcome::kMalformed) == (walk.result.why[0] != '\0'));
}

}  // namespace

// The first byte chooses the protocol and whether there is a limit, the next two the cuts.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 4) return 0;
  const Protocol protocol = data[0] % 2 ? Protocol::kCompact : Protocol::kBinary;
  const uint32_t limit = data[0] & 2 ? data[0] : uint32_t{INT32_MAX};
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 3, size - 3);
  trestle::thrift::Reader reader(protocol, bytes, limit);
  reader.SkipFields(1);
  const Walk whole = Feed(protocol, limit, bytes, bytes.size(), 0);
  const Walk single = Feed(protocol, limit, bytes, 1, 0);
  const Walk cut = Feed(protocol, limit, bytes, 1 + data[1] % 16, data[2]);
  for (const Walk& walk : {whole, single, cut}) {
    CheckLike(reader.result(), reader.at(), walk);
    Check(walk.result.outcome == whole.result.outcome && walk.result.why == whole.result.why);
  }
  return 0;
}
