#include "naming/text.h"

#include <charconv>
#include <cmath>
#include <system_error>

namespace trestle::naming {

std::optional<int32_t> ParseInt32(std::string_view text) {
  if (!text.empty() && text[0] == '+') {
    text.remove_prefix(1);
    if (!text.empty() && text[0] == '-') return std::nullopt;
  }
  int32_t value = 0;
  const char* end = text.data() + text.size();
  const auto [ptr, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || ptr != end) return std::nullopt;
  return value;
}

std::optional<double> ParseNumber(std::string_view text) {
  if (!text.empty() && text[0] == '+') {
    text.remove_prefix(1);
    if (!text.empty() && text[0] == '-') return std::nullopt;
  }
  if (text.size() > 1 && std::string_view("dDfF").find(text.back()) != std::string_view::npos) {
    text.remove_suffix(1);
  }
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [ptr, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || ptr != end || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::string ShowWeight(double weight) {
  if (std::isnan(weight)) return "NaN";
  if (std::isinf(weight)) return weight < 0 ? "-Infinity" : "Infinity";
  char buffer[64];
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, std::fabs(weight),
                                          std::chars_format::scientific);
  if (error != std::errc()) return "0.00";
  // "d.ddde±xx": the digits, and how many of them stand before the point.
  const std::string_view text(buffer, static_cast<size_t>(end - buffer));
  const size_t e = text.find('e');
  std::string digits;
  for (char c : text.substr(0, e)) {
    if (c != '.') digits.push_back(c);
  }
  int point = 1 + ParseInt32(text.substr(e + 1)).value_or(0);
  if (point < 0) {
    digits.insert(0, static_cast<size_t>(-point), '0');
    point = 0;
  }
  digits.insert(0, 1, '0');  // room for a carry; one more digit before the point
  const size_t whole = static_cast<size_t>(point) + 1;
  if (digits.size() < whole + 3) digits.append(whole + 3 - digits.size(), '0');
  const bool up = digits[whole + 2] >= '5';
  digits.resize(whole + 2);
  for (size_t i = digits.size(); up && i-- > 0;) {
    if (digits[i] != '9') {
      ++digits[i];
      break;
    }
    digits[i] = '0';
  }
  digits.insert(whole, 1, '.');
  size_t zeros = 0;
  while (zeros + 1 < whole && digits[zeros] == '0') ++zeros;
  digits.erase(0, zeros);
  if (weight < 0) digits.insert(digits.begin(), '-');
  return digits;
}

CodePoint DecodeUtf8(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(0);
  if (first < 0x80) return {first, 1, true};
  const size_t length = first >= 0xf0 && first < 0xf5   ? 4
                        : first >= 0xe0 && first < 0xf0 ? 3
                        : first >= 0xc2 && first < 0xe0 ? 2
                                                        : 1;
  if (length == 1 || text.size() < length) return {first, 1, false};
  uint32_t value = first & (0x7fU >> length);
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {first, 1, false};
    value = (value << 6) | (byte(i) & 0x3fU);
  }
  constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  if (value < kLeast[length] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) {
    return {first, 1, false};
  }
  return {value, length, true};
}

bool IsJavaWhitespace(uint32_t c) {
  if (c <= 0x20) return (c >= 0x09 && c <= 0x0d) || c >= 0x1c;
  if (c < 0x1680) return false;
  if (c >= 0x2000 && c <= 0x200a) return c != 0x2007;
  return c == 0x1680 || c == 0x2028 || c == 0x2029 || c == 0x205f || c == 0x3000;
}

std::vector<std::string_view> SplitDroppingEmptyTail(std::string_view text, char separator) {
  std::vector<std::string_view> pieces;
  size_t start = 0;
  for (size_t end = text.find(separator); end != std::string_view::npos;
       end = text.find(separator, start)) {
    pieces.push_back(text.substr(start, end - start));
    start = end + 1;
  }
  pieces.push_back(text.substr(start));
  while (!pieces.empty() && pieces.back().empty()) pieces.pop_back();
  return pieces;
}

}  // namespace trestle::naming
