// Walking fields: finds the end of a Thrift value without knowing its types' names.
//
// Lifetime, threading: pure. Errors: Outcome; everything is bounded (depth, counts, sizes) before
// it is believed.
#pragma once

#include <cstdint>
#include <string_view>

#include "thrift/message.h"

namespace trestle::thrift {

inline constexpr int kMaxDepth = 64;

// Walks over one struct at the front of `bytes`; *size is its length with the stop byte.
DecodeResult SkipStruct(Protocol protocol, std::string_view bytes, uint32_t* size);

}  // namespace trestle::thrift
