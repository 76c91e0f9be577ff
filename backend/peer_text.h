// PeerText: the beginning of a text that a backend sent, for a text of ours.
//
// Lifetime, threading: pure. Errors: none; it may hold any bytes, and Call::Fail makes them a line.
#pragma once

#include <algorithm>
#include <string>

#include "base/buffer.h"

namespace trestle::backend {

inline std::string PeerText(const base::Buffer& bytes) {
  constexpr size_t kMaxBytes = 256;
  std::string text(std::min(bytes.size(), kMaxBytes), '\0');
  bytes.CopyOut(0, text.data(), text.size());
  return bytes.size() > kMaxBytes ? text + "…" : text;
}

}  // namespace trestle::backend
