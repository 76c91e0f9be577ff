#include "thrift/frame.h"

#include <string_view>

#include "thrift/lookalike.h"

namespace trestle::thrift {
namespace {

std::string Reason(std::string_view head, uint32_t length, uint32_t max) {
  if (length == 0) return "a frame of no bytes";
  std::string why = length > INT32_MAX ? "a frame of negative length"
                                       : "a frame of " + std::to_string(length) +
                                             " bytes, over the bound of " + std::to_string(max);
  const char* looks = LooksLikeStranger(head);
  if (!looks) looks = LooksLikeUnframed(head);
  if (looks) why += std::string(" (") + looks + ")";
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
