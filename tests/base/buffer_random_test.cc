// Random operations on a Buffer and on a std::string say the same at every step.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "base/buffer.h"
#include "base/random.h"

namespace trestle::base {
namespace {

class Twins {
 public:
  explicit Twins(uint64_t seed) : random_(seed) {}

  void Step() {
    switch (random_.Below(13)) {
      case 0:
      case 1:
        return AppendCopy();
      case 2:
      case 3:
        return AppendFromArena();
      case 4:
        return Prepend();
      case 5:
        return Trim();
      case 6:
        return SplitOff();
      case 7:
        return SplitAndPutBack();
      case 8:
        return WriteFront();
      case 9:
        return AppendOther();
      case 10:
        return ShareAndDrop();
      case 11:
        return buffer_.Compact();
      default:
        return MoveAbout();
    }
  }

  void Check() {
    ASSERT_EQ(buffer_.size(), text_.size());
    ASSERT_EQ(buffer_.empty(), text_.empty());
    ASSERT_EQ(buffer_.ToString(), text_);
    ASSERT_EQ(other_.ToString(), other_text_);
    std::string joined;
    for (uint32_t i = 0; i < buffer_.slices(); i++) {
      ASSERT_GT(buffer_.slice(i).size(), 0u);
      joined += buffer_.slice(i).view();
    }
    ASSERT_EQ(joined, text_);
    size_t at = Place();
    std::string part(random_.Below(50), '?');
    size_t got = buffer_.CopyOut(at, part.data(), part.size());
    ASSERT_EQ(part.substr(0, got), text_.substr(at, part.size()));
    if (text_.size() > 20'000) {
      buffer_.Clear();
      text_.clear();
    }
  }

 private:
  std::string Bytes() {
    std::string out(random_.Below(random_.Below(20) == 0 ? 2000 : 40), '\0');
    for (char& c : out) c = static_cast<char>(random_.Next());
    return out;
  }
  size_t Place() { return random_.Below(static_cast<uint32_t>(text_.size()) + 1); }

  void AppendCopy() {
    std::string bytes = Bytes();
    buffer_.Append(Slice::Copy(bytes));
    text_ += bytes;
  }
  // As a socket is read: neighbouring ranges of one Block.
  void AppendFromArena() {
    std::string bytes = Bytes();
    Slice slice = arena_.Allot(static_cast<uint32_t>(bytes.size()));
    std::copy(bytes.begin(), bytes.end(), slice.data());
    buffer_.Append(std::move(slice));
    text_ += bytes;
  }
  void Prepend() {
    std::string bytes = Bytes();
    buffer_.Prepend(Slice::Copy(bytes));
    text_ = bytes + text_;
  }
  void Trim() {
    size_t n = Place();
    buffer_.TrimFront(n);
    text_.erase(0, n);
  }
  void SplitOff() {
    size_t n = Place();
    other_ = buffer_.Split(n);
    other_text_ = text_.substr(0, n);
    text_.erase(0, n);
  }
  void SplitAndPutBack() {
    Buffer head = buffer_.Split(Place());
    head.Append(std::move(buffer_));
    buffer_ = std::move(head);
  }
  void WriteFront() {
    size_t n = random_.Below(static_cast<uint32_t>(std::min<size_t>(text_.size(), 100)) + 1);
    char* front = buffer_.Front(n);
    for (size_t i = 0; i < n; i++) front[i] = text_[i] = static_cast<char>(random_.Next());
  }
  void AppendOther() {
    buffer_.Append(std::move(other_));
    text_ += other_text_;
    other_text_.clear();
  }
  void ShareAndDrop() {
    Buffer shared = buffer_.Share();
    ASSERT_EQ(shared.ToString(), text_);
    shared.TrimFront(Place());
  }
  void MoveAbout() {
    Buffer away(std::move(buffer_));
    ASSERT_TRUE(buffer_.empty());
    buffer_ = std::move(away);
    std::swap(buffer_, other_);
    std::swap(text_, other_text_);
  }

  SeededRandom random_;
  Arena arena_{1024};
  Buffer buffer_, other_;
  std::string text_, other_text_;
};

TEST(BufferRandom, SaysWhatAStringSays) {
  size_t before = Block::BytesOnThread();
  for (uint64_t seed = 1; seed <= 60; seed++) {
    SCOPED_TRACE(seed);
    Twins twins(seed);
    for (int step = 0; step < 500; step++) {
      twins.Step();
      twins.Check();
      if (::testing::Test::HasFatalFailure()) return;
    }
  }
  EXPECT_EQ(Block::BytesOnThread(), before);  // nothing leaked
}

}  // namespace
}  // namespace trestle::base
