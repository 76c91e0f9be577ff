#include "base/buffer.h"

#include <algorithm>
#include <cassert>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

namespace trestle::base {
namespace {

// Free lists for the two sizes that the path of a call asks for again and again: heads and what was
// compacted, and the memory that sockets are read into.
constexpr uint32_t kSmall = 512;
constexpr uint32_t kLarge = Arena::kBlockBytes;
class FreeList {
 public:
  explicit FreeList(size_t max) : max_(max) {}
  ~FreeList() {
    while (void* memory = Take()) std::free(memory);
  }
  void* Take() {
    if (!first_) return nullptr;
    Node* node = first_;
    first_ = node->next;
    if (--count_ < least_) least_ = count_;
    return node;
  }
  // Frees as many as were there all the time since the last call; gives how many.
  size_t FreeSpare() {
    size_t spare = least_;
    for (size_t i = 0; i < spare; i++) std::free(Take());
    least_ = count_;
    return spare;
  }
  bool Keep(void* memory) {
    if (count_ >= max_) return false;
    first_ = new (memory) Node{first_};
    ++count_;
    return true;
  }

 private:
  struct Node {
    Node* next;
  };
  Node* first_ = nullptr;
  size_t count_ = 0;
  size_t least_ = 0;  // the fewest since FreeSpare
  size_t max_;
};
thread_local FreeList small_blocks(256);
thread_local FreeList large_blocks(64);
thread_local size_t live_bytes = 0;

}  // namespace

Block* Block::New(uint32_t capacity) {
  if (capacity < kSmall) capacity = kSmall;
  void* memory = nullptr;
  if (capacity == kSmall) memory = small_blocks.Take();
  if (capacity == kLarge) memory = large_blocks.Take();
  if (!memory) memory = std::malloc(sizeof(Block) + capacity);
  if (!memory) throw std::bad_alloc();
  live_bytes += capacity;
  return new (memory) Block(capacity);
}

void Block::Free(Block* block) {
  uint32_t capacity = block->capacity_;
  live_bytes -= capacity;
  if (capacity == kSmall && small_blocks.Keep(block)) return;
  if (capacity == kLarge && large_blocks.Keep(block)) return;
  std::free(block);
}

size_t Block::BytesOnThread() { return live_bytes; }

size_t Block::FreeSpare() {
  return small_blocks.FreeSpare() * kSmall + large_blocks.FreeSpare() * kLarge;
}

Slice Slice::Copy(std::string_view bytes) {
  Block* block = Block::New(static_cast<uint32_t>(bytes.size()));
  if (!bytes.empty()) std::memcpy(block->data(), bytes.data(), bytes.size());
  Slice slice(block, block->data(), static_cast<uint32_t>(bytes.size()));
  block->Unref();
  return slice;
}

Buffer Buffer::Copy(std::string_view bytes) { return Buffer(Slice::Copy(bytes)); }

void Buffer::TakeMemory(Buffer* o) {
  at_ = o->at_;
  cap_ = o->cap_;
  head_ = o->head_;
  count_ = o->count_;
  size_ = o->size_;
  o->at_ = o->inline_;
  o->cap_ = kInline;
  o->head_ = o->count_ = 0;
  o->size_ = 0;
}

void Buffer::Release() {
  delete[] at_;
  at_ = inline_;
  cap_ = kInline;
}

void Buffer::DropAll() {
  for (Slice* s = at_ + head_; s != at_ + head_ + count_; s++) {
    s->block_->Unref();
    s->block_ = nullptr;
    s->size_ = 0;
  }
  size_ = 0;
  count_ = 0;
  Emptied();
}

// Nothing is left: what a burst needed is given back, so that an idle connection does not keep it.
void Buffer::Emptied() {
  constexpr uint32_t kKept = 32;
  head_ = 0;
  if (cap_ > kKept) Release();
}

// Makes room for one more Slice at the end.
void Buffer::Reserve() {
  if (head_ > 0 && count_ <= cap_ / 2) {
    for (uint32_t i = 0; i < count_; i++) at_[i] = std::move(at_[head_ + i]);
    head_ = 0;
    return;
  }
  uint32_t cap = std::max(8u, 2 * count_);
  auto* more = new Slice[cap];
  for (uint32_t i = 0; i < count_; i++) Fill(&more[i], &at_[head_ + i]);
  if (at_ != inline_) Release();
  at_ = more;
  cap_ = cap;
  head_ = 0;
}

void Buffer::Append(Slice slice) {
  if (slice.size_ == 0) return;
  size_ += slice.size_;
  if (count_ > 0) {
    Slice& last = at_[head_ + count_ - 1];
    if (last.block_ == slice.block_ && last.data_ + last.size_ == slice.data_) {
      last.size_ += slice.size_;
      return;
    }
  }
  if (head_ + count_ >= cap_) Reserve();
  Fill(&at_[head_ + count_++], &slice);
}

void Buffer::Append(Buffer&& other) {
  if (count_ == 0 && at_ == inline_) return Take(&other);
  for (uint32_t i = 0; i < other.count_; i++) Append(std::move(other.at_[other.head_ + i]));
  other.head_ = other.count_ = 0;
  other.size_ = 0;
}

void Buffer::Prepend(Slice slice) {
  if (slice.size_ == 0) return;
  size_ += slice.size_;
  if (head_ > 0) {
    at_[--head_] = std::move(slice);
    ++count_;
    return;
  }
  if (head_ + count_ >= cap_) Reserve();
  for (uint32_t i = count_; i > 0; i--) at_[head_ + i] = std::move(at_[head_ + i - 1]);
  at_[head_] = std::move(slice);
  ++count_;
}

void Buffer::TrimSlices(size_t n) {
  assert(n <= size_);
  size_ -= n;
  while (n > 0) {
    Slice& first = at_[head_];
    if (first.size_ > n) {
      first.data_ += n;
      first.size_ -= static_cast<uint32_t>(n);
      return;
    }
    n -= first.size_;
    first.block_->Unref();
    first.block_ = nullptr;
    first.size_ = 0;
    ++head_;
    --count_;
  }
  if (count_ == 0) Emptied();
}

Buffer Buffer::SplitSlices(size_t n) {
  assert(n <= size_);
  if (n == size_) return std::move(*this);
  Buffer out;
  while (n > 0) {
    Slice& first = at_[head_];
    if (first.size_ > n) {
      out.Append(Slice(first.block_, first.data_, static_cast<uint32_t>(n)));
      first.data_ += n;
      first.size_ -= static_cast<uint32_t>(n);
      size_ -= n;
      return out;
    }
    n -= first.size_;
    size_ -= first.size_;
    out.Append(std::move(first));
    ++head_;
    --count_;
  }
  if (count_ == 0) Emptied();
  return out;
}

Buffer Buffer::Share() const {
  Buffer out;
  if (count_ > kInline) {
    for (uint32_t i = 0; i < count_; i++) out.Append(at_[head_ + i]);
    return out;
  }
  for (uint32_t i = 0; i < count_; i++) {
    const Slice& from = at_[head_ + i];
    from.block_->Ref();
    out.inline_[i].block_ = from.block_;
    out.inline_[i].data_ = from.data_;
    out.inline_[i].size_ = from.size_;
  }
  out.count_ = count_;
  out.size_ = size_;
  return out;
}

char* Buffer::JoinFront(size_t n) {
  assert(n <= size_);
  if (n == 0) return nullptr;
  Block* block = Block::New(static_cast<uint32_t>(n));
  CopyOut(0, block->data(), n);
  Slice whole(block, block->data(), static_cast<uint32_t>(n));
  block->Unref();
  char* data = whole.data_;
  TrimFront(n);
  Prepend(std::move(whole));
  return data;
}

std::string Buffer::ToString() const {
  std::string out(size_, '\0');
  CopyOut(0, out.data(), size_);
  return out;
}

size_t Buffer::CopyOut(size_t at, char* to, size_t n) const {
  size_t done = 0;
  for (uint32_t i = 0; i < count_ && done < n; i++) {
    const Slice& s = at_[head_ + i];
    if (at >= s.size_) {
      at -= s.size_;
      continue;
    }
    size_t take = std::min<size_t>(n - done, s.size_ - at);
    std::memcpy(to + done, s.data_ + at, take);
    done += take;
    at = 0;
  }
  return done;
}

void Buffer::Compact() {
  size_t held = 0;
  for (uint32_t i = 0; i < count_; i++) held += at_[head_ + i].block_->capacity();
  // Eight times is the price of not copying again and again what comes in crumbs.
  if (size_ == 0 || held <= 8 * std::max<size_t>(size_, kSmall)) return;
  Block* block = Block::New(static_cast<uint32_t>(size_));
  CopyOut(0, block->data(), size_);
  Slice whole(block, block->data(), static_cast<uint32_t>(size_));
  block->Unref();
  Clear();
  Append(std::move(whole));
}

int Buffer::Iovecs(struct iovec* out, int max) const {
  int n = 0;
  for (uint32_t i = 0; i < count_ && n < max; i++) {
    const Slice& s = at_[head_ + i];
    out[n++] = {s.data_, s.size_};
  }
  return n;
}

Arena::~Arena() {
  if (block_) block_->Unref();
}

char* Arena::Room(uint32_t least, uint32_t* room) {
  assert(least <= block_bytes_);
  if (block_ && block_->alone()) used_ = 0;
  if (block_ && block_->capacity() - used_ < least) {
    block_->Unref();
    block_ = nullptr;
  }
  if (!block_) {
    block_ = Block::New(block_bytes_);
    used_ = 0;
  }
  *room = block_->capacity() - used_;
  return block_->data() + used_;
}

Slice Arena::Commit(uint32_t n) {
  Slice slice(block_, block_->data() + used_, n);
  used_ += n;
  return slice;
}

Slice Arena::Allot(uint32_t n) {
  if (n > block_bytes_) {
    Block* block = Block::New(n);
    Slice slice(block, block->data(), n);
    block->Unref();
    return slice;
  }
  uint32_t room = 0;
  Room(n, &room);
  return Commit(n);
}

void Arena::Trim() {
  if (!block_ || !block_->alone()) return;
  block_->Unref();
  block_ = nullptr;
}

}  // namespace trestle::base
