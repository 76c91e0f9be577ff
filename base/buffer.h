// Block, Slice and Buffer: bytes that travel from socket to socket without being copied.
//
// A Block is a piece of memory with a count of its users; a Slice is a range of one Block; a Buffer
// is a sequence of Slices. A frame is cut out of what was read by handing Slices on.
//
// Lifetime: a Block lives while a Slice points into it. Threading: counts are plain integers, so a
// Block and all its Slices stay on one thread. Errors: none; asking for more bytes than there are
// is a fault of the caller.
//
// Ownership of bytes: a range of a Block belongs to the one frame that was cut from it, so whoever
// holds that frame may write into it (a seqid is put on in place). Slices of one range must not be
// given to two owners who write.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace trestle::base {

class Block {
 public:
  // Memory for `capacity` bytes with one user.
  static Block* New(uint32_t capacity);
  void Ref() { ++users_; }
  void Unref() {
    if (--users_ == 0) Free(this);
  }
  bool alone() const { return users_ == 1; }
  char* data() { return reinterpret_cast<char*>(this + 1); }
  uint32_t capacity() const { return capacity_; }
  // Bytes held by all live Blocks of this thread (for budgets and tests).
  static size_t BytesOnThread();
  // Frees what of this thread's free lists was not asked for since the last time. Gives the bytes.
  static size_t FreeSpare();

 private:
  explicit Block(uint32_t capacity) : capacity_(capacity) {}
  static void Free(Block* block);
  uint32_t users_ = 1;
  uint32_t capacity_;
};

class Slice {
 public:
  Slice() = default;
  // A range of `block`; adds a user.
  Slice(Block* block, char* data, uint32_t size) : block_(block), data_(data), size_(size) {
    block_->Ref();
  }
  // A copy of `bytes` in a Block of its own.
  static Slice Copy(std::string_view bytes);
  Slice(const Slice& o) : block_(o.block_), data_(o.data_), size_(o.size_) {
    if (block_) block_->Ref();
  }
  Slice(Slice&& o) noexcept : block_(o.block_), data_(o.data_), size_(o.size_) {
    o.block_ = nullptr;
    o.size_ = 0;
  }
  Slice& operator=(Slice o) noexcept {
    std::swap(block_, o.block_);
    std::swap(data_, o.data_);
    std::swap(size_, o.size_);
    return *this;
  }
  ~Slice() {
    if (block_) block_->Unref();
  }

  char* data() const { return data_; }
  uint32_t size() const { return size_; }
  Block* block() const { return block_; }
  std::string_view view() const { return {data_, size_}; }

 private:
  friend class Buffer;
  Block* block_ = nullptr;
  char* data_ = nullptr;
  uint32_t size_ = 0;
};

class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(Slice slice) { Append(std::move(slice)); }
  // A Buffer of one Block with a copy of `bytes`.
  static Buffer Copy(std::string_view bytes);
  Buffer(Buffer&& o) noexcept { Take(&o); }
  Buffer& operator=(Buffer&& o) noexcept {
    if (this != &o) {
      Clear();
      if (at_ != inline_) Release();
      Take(&o);
    }
    return *this;
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() {
    Clear();
    if (at_ != inline_) Release();
  }

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  uint32_t slices() const { return count_; }
  const Slice& slice(uint32_t i) const { return at_[head_ + i]; }

  void Clear() {
    if (count_ > 0) DropAll();
  }
  // Adds at the end; a Slice that goes on where the last one stops, in the same Block, joins it.
  void Append(Slice slice);
  void Append(Buffer&& other);
  void Prepend(Slice slice);
  // Drops the first `n` bytes; n <= size().
  void TrimFront(size_t n) {
    Slice& first = at_[head_];
    if (first.size_ <= n) return TrimSlices(n);
    first.data_ += n;
    first.size_ -= static_cast<uint32_t>(n);
    size_ -= n;
  }
  // Cuts the first `n` bytes off and gives them; n <= size().
  Buffer Split(size_t n) {
    Slice& first = at_[head_];
    if (n == 0 || first.size_ <= n) return SplitSlices(n);
    Buffer out;
    first.block_->Ref();
    out.inline_[0].block_ = first.block_;
    out.inline_[0].data_ = first.data_;
    out.inline_[0].size_ = static_cast<uint32_t>(n);
    out.count_ = 1;
    out.size_ = n;
    first.data_ += n;
    first.size_ -= static_cast<uint32_t>(n);
    size_ -= n;
    return out;
  }
  // Another Buffer on the same bytes; neither may write into them afterwards.
  Buffer Share() const;
  // The first `n` bytes in one piece, writable by the owner of the frame; copies them into one
  // Block only when they are not. n <= size(). The pointer holds until the Buffer changes.
  char* Front(size_t n) { return n > 0 && at_[head_].size_ >= n ? at_[head_].data_ : JoinFront(n); }
  // All bytes in one piece, as Front gives them.
  std::string_view Whole() {
    return empty() ? std::string_view() : std::string_view(Front(size_), size_);
  }
  // A copy of all bytes.
  std::string ToString() const;
  // Copies up to `n` bytes from offset `at`; gives how many.
  size_t CopyOut(size_t at, char* to, size_t n) const;
  // Moves the bytes into a Block of their own size when they hold on to much larger ones, so that
  // what waits for long does not pin read memory.
  void Compact();
  // Fills up to `max` entries with the bytes from the front; gives how many.
  int Iovecs(struct iovec* out, int max) const;

 private:
  static constexpr uint32_t kInline = 3;
  // Fills a slot that holds nothing.
  static void Fill(Slice* slot, Slice* from) {
    slot->block_ = from->block_;
    slot->data_ = from->data_;
    slot->size_ = from->size_;
    from->block_ = nullptr;
    from->size_ = 0;
  }
  // Only when this is empty and has no memory of its own.
  void Take(Buffer* o) {
    if (o->at_ != o->inline_) return TakeMemory(o);
    for (uint32_t i = 0; i < o->count_; i++) Fill(&inline_[i], &o->inline_[o->head_ + i]);
    head_ = 0;
    count_ = o->count_;
    size_ = o->size_;
    o->head_ = o->count_ = 0;
    o->size_ = 0;
  }
  void TakeMemory(Buffer* o);
  void TrimSlices(size_t n);
  Buffer SplitSlices(size_t n);
  char* JoinFront(size_t n);
  void DropAll();
  void Emptied();
  void Release();
  void Reserve();

  Slice inline_[kInline];
  Slice* at_ = inline_;
  uint32_t cap_ = kInline;
  uint32_t head_ = 0;
  uint32_t count_ = 0;
  size_t size_ = 0;
};

// Memory that sockets are read into, and small heads are written into: one current Block, used from
// front to back, taken again from the start once nobody points into it any more. A worker has one.
class Arena {
 public:
  static constexpr uint32_t kBlockBytes = 128 * 1024;
  explicit Arena(uint32_t block_bytes = kBlockBytes) : block_bytes_(block_bytes) {}
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // Room for at least `least` bytes (at most the block size); *room tells how much there is.
  char* Room(uint32_t least, uint32_t* room);
  // Says that `n` bytes were written at the start of the room last given, and takes them.
  Slice Commit(uint32_t n);
  // A Slice of `n` fresh bytes to write into.
  Slice Allot(uint32_t n);
  // Gives the current Block back if nobody uses it (for idle times).
  void Trim();

 private:
  uint32_t block_bytes_;
  Block* block_ = nullptr;
  uint32_t used_ = 0;
};

}  // namespace trestle::base
