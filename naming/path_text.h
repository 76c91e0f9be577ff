// How the bytes of a label are written.
//
// Lifetime, threading: pure functions. Errors: none.
#pragma once

#include <string>
#include <string_view>

namespace trestle::naming {

// [0-9A-Za-z_:.#$%-]: what stands for itself in a label.
constexpr bool IsPlainLabelByte(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
         c == ':' || c == '.' || c == '#' || c == '$' || c == '%' || c == '-';
}

inline void AppendEscaped(char c, std::string* out) {
  constexpr char kHex[] = "0123456789abcdef";
  const auto byte = static_cast<unsigned char>(c);
  *out += "\\x";
  *out += kHex[byte >> 4];
  *out += kHex[byte & 15];
}

// Plainly, or, if any byte is unusual, all of it as \xNN.
inline void AppendLabel(std::string_view label, std::string* out) {
  bool plain = true;
  for (char c : label) plain = plain && IsPlainLabelByte(c);
  if (plain) {
    *out += label;
    return;
  }
  for (char c : label) AppendEscaped(c, out);
}

}  // namespace trestle::naming
