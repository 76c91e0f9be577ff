// Numbers on the wire, most significant byte first, and bytes for the text of an error.
//
// Lifetime: none. Threading: any. Errors: none; the caller knows that the bytes are there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace trestle::bench {

// A number of kBytes bytes, at most four.
template <size_t kBytes>
uint32_t Read(const char* from) {
  static_assert(kBytes <= 4);
  uint32_t v = 0;
  for (size_t i = 0; i < kBytes; i++) v = v << 8 | static_cast<unsigned char>(from[i]);
  return v;
}

template <size_t kBytes>
void Put(uint64_t v, char* to) {
  for (size_t i = 0; i < kBytes; i++) to[i] = static_cast<char>(v >> (8 * (kBytes - 1 - i)));
}

template <size_t kBytes>
void Add(uint64_t v, std::string* out) {
  out->append(kBytes, '\0');
  Put<kBytes>(v, out->data() + out->size() - kBytes);
}

// What can be shown of bytes.
inline std::string Shown(std::string_view bytes) {
  std::string out(bytes.substr(0, 300));
  for (char& c : out) c = c >= ' ' && c < 127 ? c : '.';
  return out;
}

}  // namespace trestle::bench
