#include "mux/frame.h"

#include <utility>

namespace trestle::mux {
namespace {

uint32_t ReadU32(const char* p) {
  const auto* u = reinterpret_cast<const unsigned char*>(p);
  return uint32_t{u[0]} << 24 | uint32_t{u[1]} << 16 | uint32_t{u[2]} << 8 | uint32_t{u[3]};
}

std::string WrongSize(uint32_t size, uint32_t max) {
  const std::string why = "a message of " + std::to_string(size) + " bytes, ";
  if (size < 4) return why + "too short for a type and a tag";
  return why + "over the bound of " + std::to_string(max);
}

}  // namespace

// Reads no more than the 8 bytes of the head however many slices there are, so a message that
// arrives in many small pieces costs the same for each of them. What is wrong with a size or a type
// is told as soon as it is there, before the rest is waited for.
Outcome FrameDecoder::Next(base::Buffer* in, Frame* frame) {
  missing_ = 0;
  const size_t have = in->size();
  if (have < 4) return Outcome::kNeedMore;
  char copy[kHeadBytes];
  const char* head = in->slice(0).data();
  if (in->slice(0).size() < kHeadBytes) {
    in->CopyOut(0, copy, kHeadBytes);
    head = copy;
  }
  const uint32_t size = ReadU32(head);
  if (size < 4 || size > max_) {
    why_ = WrongSize(size, max_);
    return Outcome::kMalformed;
  }
  std::optional<Type> type;
  if (have > 4 && !(type = KnownType(static_cast<int8_t>(head[4])))) {
    why_ = "a message of the unknown type " + std::to_string(static_cast<int8_t>(head[4]));
    return Outcome::kMalformed;
  }
  const uint64_t whole = uint64_t{4} + size;
  if (have < whole) {
    missing_ = static_cast<uint32_t>(whole - have);
    return Outcome::kNeedMore;
  }
  const uint32_t tag = ReadU32(head + 4) & 0xffffff;
  frame->type = *type;
  frame->wire = static_cast<int8_t>(head[4]);
  frame->tag = tag & kMaxTag;
  frame->more = (tag & kMoreBit) != 0;
  in->TrimFront(kHeadBytes);
  frame->body.Clear();
  if (size > 4) frame->body = in->Split(size - 4);
  return Outcome::kOk;
}

}  // namespace trestle::mux
