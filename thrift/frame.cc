#include "thrift/frame.h"

#include <string_view>

namespace trestle::thrift {
namespace {

// What other protocols have where a frame has its length.
struct Lookalike {
  std::string_view start;
  const char* what;
};
constexpr Lookalike kLookalikes[] = {
    {"GET ", "HTTP"},
    {"POST", "HTTP"},
    {"PUT ", "HTTP"},
    {"HEAD", "HTTP"},
    {"DELE", "HTTP"},
    {"OPTI", "HTTP"},
    {"PATC", "HTTP"},
    {"CONN", "HTTP"},
    {"TRAC", "HTTP"},
    {"PRI ", "HTTP/2"},
    {"HTTP", "an HTTP response"},
    {"\x16\x03", "a TLS hello"},
    {"\x15\x03", "a TLS alert"},
    {"\x80\x01", "unframed binary Thrift"},
};

const char* LooksLike(std::string_view bytes) {
  for (const Lookalike& other : kLookalikes) {
    if (bytes.substr(0, other.start.size()) == other.start) return other.what;
  }
  if (bytes[0] == '\x82' && (bytes[1] & 0x1f) == 1) return "unframed compact Thrift";
  return nullptr;
}

std::string Reason(std::string_view head, uint32_t length, uint32_t max) {
  if (length == 0) return "a frame of no bytes";
  std::string why = length > INT32_MAX ? "a frame of negative length"
                                       : "a frame of " + std::to_string(length) +
                                             " bytes, over the bound of " + std::to_string(max);
  if (const char* what = LooksLike(head)) why += std::string(" (looks like ") + what + ")";
  return why;
}

}  // namespace

// Reads no more than the 4 length bytes however many slices there are, so a frame that arrives in
// many small pieces costs the same for each of them.
Outcome FrameDecoder::Next(base::Buffer* in, base::Buffer* frame) {
  missing_ = 0;
  if (in->size() < 4) return Outcome::kNeedMore;
  char copy[4];
  const char* head = in->slice(0).data();
  if (in->slice(0).size() < 4) {
    in->CopyOut(0, copy, 4);
    head = copy;
  }
  const uint32_t length = ReadU32(head);
  if (length == 0 || length > max_ || length > INT32_MAX) {
    why_ = Reason({head, 4}, length, max_);
    return Outcome::kMalformed;
  }
  const size_t whole = size_t{4} + length;
  if (in->size() < whole) {
    missing_ = static_cast<uint32_t>(whole - in->size());
    return Outcome::kNeedMore;
  }
  *frame = in->Split(whole);
  return Outcome::kOk;
}

}  // namespace trestle::thrift
