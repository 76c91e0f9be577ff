// Outcome: what a decoder of bytes from a peer found. "Need more bytes" is an outcome, not an
// error.
//
// Lifetime: values; `why` is static text. Threading: none. Errors: this is about them.
#pragma once

#include <cstdint>

namespace trestle::base {

enum class Outcome : uint8_t { kOk, kNeedMore, kMalformed };

struct DecodeResult {
  Outcome outcome;
  const char* why = "";  // kMalformed: "bad version", "name over 4096 bytes", …; static text
};

}  // namespace trestle::base
