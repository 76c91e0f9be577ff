#include "call/one_line.h"

#include "naming/text.h"

namespace trestle::call {

std::string OneLine(std::string_view text, size_t most) {
  std::string line;
  while (!text.empty() && line.size() < most) {
    naming::CodePoint c = naming::DecodeUtf8(text);
    size_t length = c.valid ? c.length : 1;
    bool shown = c.valid && c.value >= 0x20 && c.value != 0x7f;
    line += shown ? text.substr(0, length) : std::string_view(c.valid ? " " : "?");
    text.remove_prefix(length);
  }
  return text.empty() ? line : line + "…";
}

}  // namespace trestle::call
