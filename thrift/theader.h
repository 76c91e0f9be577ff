// THeader: Apache Thrift's header transport: a frame with key/values before the message.
//
// `length:4  0f ff  flags:2  seqid:4  words:2  header(words * 4 bytes)  payload`, where the header
// names the payload's protocol, its transforms (zlib), and the key/values.
//
// Lifetime: views point into the bytes given. Threading: pure. Errors: an Outcome and a static
// reason. Everything is bounded before it is believed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/buffer.h"
#include "base/contexts.h"
#include "thrift/message.h"

namespace trestle::thrift {

// Keys that Trestle itself understands: a local dtab as text, and a destination.
inline constexpr std::string_view kDtabKey = "l5d-dtab";
inline constexpr std::string_view kDstKey = "l5d-dst";

inline constexpr uint32_t kMaxTHeaderBytes = 256 * 1024;  // of the header, words * 4
inline constexpr uint32_t kMaxTHeaderKeys = 1000;
inline constexpr uint32_t kTHeaderFixed = 10;             // bytes from the magic to the words
inline constexpr uint32_t kMaxTHeaderFrame = 0x3fffffff;  // of the length: "HTTP" is none
inline constexpr uint32_t kMaxTHeaderTransforms = 4;      // of one message

struct THeader {
  uint16_t flags = 0;
  int32_t seqid = 0;
  Protocol protocol = Protocol::kBinary;
  uint32_t zlib = 0;    // how often the payload was deflated
  base::Contexts keys;  // in the order of arrival; of equal ones the last holds
  // Forgets everything but the memory of the list.
  void Clear();
};

// Reads the header of a frame; `bytes` begin behind the frame's length, of which `frame` is the
// value. *size is where the payload begins. Unknown transforms and protocols are malformed; unknown
// info, which nobody can read past, ends the key/values.
DecodeResult DecodeTHeader(std::string_view bytes, uint32_t frame, THeader* out, uint32_t* size);
// How many bytes a header has whose first ten are given: who has it in pieces need not guess.
uint32_t THeaderSize(std::string_view fixed);
// Appends everything from the magic to the payload, with as little padding as there can be. False:
// the keys are more than a header holds (1000, or 262140 bytes), and those from the first on that
// has no room were left out.
bool EncodeTHeader(const THeader& header, std::string* out);

// Undoes zlib `times` times. False when it is no zlib stream, does not end with the bytes, or
// would have more than `max_bytes`, in between too: *why is static text then, and *out is left
// alone. Memory is bounded by max_bytes and 64 KiB for each time. With 0 times it is Share().
bool Inflate(const base::Buffer& bytes, uint32_t times, uint32_t max_bytes, base::Buffer* out,
             const char** why);
// One zlib stream of all bytes.
base::Buffer Deflate(const base::Buffer& bytes);

}  // namespace trestle::thrift
