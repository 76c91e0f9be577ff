// Reader: a cursor over the parts of a mux message that believes nothing.
//
// Lifetime: views point into the bytes given. Threading: pure. Errors: the first failure stays; all
// later reads give false, and result() tells whether more bytes would help.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "mux/message.h"

namespace trestle::mux {

class Reader {
 public:
  // What would end behind `limit` bytes is malformed, for the reason `over`, however many bytes
  // there are.
  Reader(std::string_view bytes, size_t limit, const char* over)
      : bytes_(bytes), limit_(limit), over_(over), end_(std::min(bytes.size(), limit)) {}

  // An unsigned number of N bytes.
  template <int N>
  bool Number(uint32_t* value) {
    if (!Has(N)) return false;
    uint32_t read = 0;
    for (int i = 0; i < N; i++) read = read << 8 | static_cast<uint8_t>(bytes_[at_ + i]);
    at_ += N;
    *value = read;
    return true;
  }
  bool Bytes(size_t n, std::string_view* value) {
    if (!Has(n)) return false;
    *value = {bytes_.data() + at_, n};
    at_ += n;
    return true;
  }
  // `n:2` and n bytes.
  bool Piece(std::string_view* value) {
    uint32_t n = 0;
    if (!Number<2>(&n)) return false;
    if (n > kMaxPiece) return Fail("a length over 32767");
    return Bytes(n, value);
  }

  bool Fail(const char* why) {
    if (result_.outcome == Outcome::kOk) result_ = {Outcome::kMalformed, why};
    end_ = at_;
    return false;
  }
  size_t at() const { return at_; }
  bool done() const { return at_ == bytes_.size(); }
  DecodeResult result() const { return result_; }

 private:
  bool Has(size_t n) {
    if (n <= end_ - at_ && result_.outcome == Outcome::kOk) return true;
    return Short(n);
  }
  bool Short(size_t n) {
    if (result_.outcome != Outcome::kOk) return false;
    if (n > limit_ - at_) return Fail(over_);
    result_ = {Outcome::kNeedMore, "cut short"};
    return false;
  }

  std::string_view bytes_;
  size_t limit_;
  const char* over_;
  size_t end_;
  size_t at_ = 0;
  DecodeResult result_{Outcome::kOk};
};

}  // namespace trestle::mux
