// FreeSlots: which of the numbers below a bound are free; the lowest one is taken first, as a
// Finagle client does with tags.
//
// Lifetime: a value. Threading: one user at a time. Errors: none; the caller asks before it takes.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace trestle::bench {

class FreeSlots {
 public:
  explicit FreeSlots(uint32_t count) : words_((count + 63) / 64), free_(count) {
    for (uint32_t i = 0; i < count; i++) words_[i / 64] |= uint64_t{1} << i % 64;
  }
  bool empty() const { return free_ == 0; }
  uint32_t Take() {
    uint32_t i = 0;
    while (words_[i] == 0) i++;
    const auto bit = static_cast<uint32_t>(std::countr_zero(words_[i]));
    words_[i] &= words_[i] - 1;
    --free_;
    return i * 64 + bit;
  }
  void Give(uint32_t slot) {
    words_[slot / 64] |= uint64_t{1} << slot % 64;
    ++free_;
  }

 private:
  std::vector<uint64_t> words_;
  uint32_t free_;
};

}  // namespace trestle::bench
