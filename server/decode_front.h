// DecodeFront: reads the head of a message from the first piece of its bytes, and only when that is
// too short from more of them.
//
// Lifetime: pure. Threading: any. Errors: those of the decoder.
#pragma once

#include <algorithm>
#include <string_view>

#include "base/buffer.h"
#include "base/outcome.h"

namespace trestle::server {

// `decode` takes a view of what stands behind `skip`; at most `most` bytes are looked at.
template <class Decode>
base::DecodeResult DecodeFront(base::Buffer* bytes, size_t skip, size_t most,
                               const Decode& decode) {
  const size_t end = std::min(bytes->size(), skip + most);
  size_t have = bytes->empty() ? 0 : std::min<size_t>(bytes->slice(0).size(), end);
  if (have <= skip) have = std::min(end, skip + 64);
  for (;;) {
    base::DecodeResult r = decode(std::string_view(bytes->Front(have), have).substr(skip));
    if (r.outcome != base::Outcome::kNeedMore || have == end) return r;
    have = std::min(end, 4 * have);
  }
}

}  // namespace trestle::server
