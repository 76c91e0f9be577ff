// What bytes look like that are not what was expected: for the log of whoever connected the wrong
// peers.
//
// Lifetime: static texts. Threading: pure. Errors: none; nullptr where nothing is known.
#pragma once

#include <string_view>

namespace trestle::thrift {

inline constexpr char kLooksLikeHeader[] = "looks like THeader";
inline constexpr char kLooksLikeMux[] = "looks like ThriftMux";

// The first bytes of a connection that speaks no Thrift: "looks like HTTP", "looks like a TLS
// hello". Up to four bytes are looked at.
const char* LooksLikeStranger(std::string_view first);

// The same for Thrift without a length in front, where there should be one. Two bytes.
const char* LooksLikeUnframed(std::string_view first);

// The same for Thrift with a length in front, where there should be none. Six bytes.
const char* LooksLikeFramed(std::string_view first);

// How a message begins: a version of its protocol, in two bytes.
inline bool BinaryStart(std::string_view b) {
  return b.size() >= 2 && b[0] == '\x80' && b[1] == '\x01';
}
inline bool CompactStart(std::string_view b) {
  return b.size() >= 2 && b[0] == '\x82' && (b[1] & 0x1f) == 1;
}
inline bool HeaderStart(std::string_view b) {
  return b.size() >= 2 && b[0] == '\x0f' && b[1] == '\xff';
}

}  // namespace trestle::thrift
