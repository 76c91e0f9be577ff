// The small readings of text that names need: integers and numbers as Java reads them, weights as
// Finagle prints them, UTF-8 one code point at a time.
//
// Lifetime, threading: pure functions. Errors: nullopt.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace trestle::naming {

// A 32-bit decimal integer, "+" and "-" allowed ("+80" and "0080" are 80).
std::optional<int32_t> ParseInt32(std::string_view text);

// A finite number: "2", ".5", "-1", "+2", "1e3"; Java's suffixes d and f too.
std::optional<double> ParseNumber(std::string_view text);

// Two decimals, rounded half up on the shortest decimal that reads back as `weight`
// (0.125 -> "0.13").
std::string ShowWeight(double weight);

struct CodePoint {
  uint32_t value = 0;
  size_t length = 1;   // in bytes
  bool valid = false;  // false: the byte at this place is no UTF-8
};
// `text` must not be empty.
CodePoint DecodeUtf8(std::string_view text);

// What Java's Character.isWhitespace says.
bool IsJavaWhitespace(uint32_t code_point);

// The pieces between `separator`; empty pieces at the end are dropped ("a:b::" -> a, b).
std::vector<std::string_view> SplitDroppingEmptyTail(std::string_view text, char separator);

}  // namespace trestle::naming
