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

// Walks over one struct whose bytes come in pieces. Every byte is looked at once, wherever the
// pieces are cut: the place in a half-read list or number is kept between two calls.
class Walker {
 public:
  explicit Walker(Protocol protocol) : protocol_(protocol) {}
  // Begins anew.
  void Reset();
  // Takes the next bytes. kOk: the struct ended behind the first *used of them. kNeedMore: all of
  // them belong to it. kMalformed is final.
  DecodeResult Feed(std::string_view bytes, size_t* used);

 private:
  Protocol protocol_;
};

}  // namespace trestle::thrift
