#include "mux/joiner.h"

#include <algorithm>
#include <utility>

namespace trestle::mux {
namespace {

// A smaller piece is copied: a slice of it would hold on to read memory many times its size, and a
// message of pieces of one byte would be a slice for each.
constexpr size_t kSmallPiece = 16 * 1024;

constexpr char kLongMessage[] = "a message in pieces over its bound";

}  // namespace

// Puts a small piece behind the others, in memory of the part's own. That grows with the part, so
// it is never much larger than what is in it.
void Joiner::Part::Copy(const base::Buffer& piece) {
  for (size_t at = 0; at < piece.size();) {
    if (room.size() == 0) {
      const size_t bytes = std::clamp<size_t>(body.size() + piece.size(), 512, 64 * 1024);
      base::Block* block = base::Block::New(static_cast<uint32_t>(bytes));
      room = base::Slice(block, block->data(), static_cast<uint32_t>(bytes));
      block->Unref();
    }
    const auto n = static_cast<uint32_t>(piece.CopyOut(at, room.data(), room.size()));
    body.Append(base::Slice(room.block(), room.data(), n));
    room = base::Slice(room.block(), room.data() + n, room.size() - n);
    at += n;
  }
}

void Joiner::Part::Add(base::Buffer piece) {
  if (piece.size() < kSmallPiece) return Copy(piece);
  piece.Compact();
  body.Append(std::move(piece));
}

Outcome Joiner::Malformed(const char* why) {
  why_ = why;
  return Outcome::kMalformed;
}

bool Joiner::HasRoomFor(const Frame& frame) const {
  if (!frame.more) return true;
  const bool first = !parts_.contains(frame.tag);
  if (first && parts_.size() >= bounds_.messages) return false;
  return bytes_ + frame.body.size() <= bounds_.all_bytes;
}

Outcome Joiner::Take(Frame* frame) {
  if (frame->more) return Keep(frame);
  if (parts_.empty() || !MayBeSplit(frame->type)) return Outcome::kOk;
  const auto it = parts_.find(frame->tag);
  if (it == parts_.end()) return Outcome::kOk;
  return Finish(it, frame);
}

// The last piece: it goes on behind the others and is not copied.
Outcome Joiner::Finish(Parts::iterator it, Frame* frame) {
  Part& part = it->second;
  if (part.type != frame->type) return Malformed("a last piece of another type");
  if (part.body.size() + frame->body.size() > bounds_.message_bytes) {
    return Malformed(kLongMessage);
  }
  bytes_ -= part.body.size();
  part.body.Append(std::move(frame->body));
  frame->body = std::move(part.body);
  parts_.erase(it);
  return Outcome::kOk;
}

Outcome Joiner::Keep(Frame* frame) {
  if (!MayBeSplit(frame->type)) return Malformed("a fragment of a type that has none");
  auto it = parts_.find(frame->tag);
  const bool first = it == parts_.end();
  if (first && parts_.size() >= bounds_.messages) return Malformed("too many messages in pieces");
  if (!first && it->second.type != frame->type) return Malformed("a fragment of another type");
  const uint64_t before = first ? 0 : it->second.body.size();
  const uint64_t more = frame->body.size();
  if (before + more > bounds_.message_bytes) return Malformed(kLongMessage);
  if (bytes_ + more > bounds_.all_bytes) return Malformed("messages in pieces over their bound");
  if (first) it = parts_.emplace(frame->tag, Part{frame->type, {}, {}}).first;
  it->second.Add(std::move(frame->body));
  bytes_ += more;
  return Outcome::kNeedMore;
}

bool Joiner::Drop(uint32_t tag) {
  const auto it = parts_.find(tag);
  if (it == parts_.end()) return false;
  bytes_ -= it->second.body.size();
  parts_.erase(it);
  return true;
}

}  // namespace trestle::mux
