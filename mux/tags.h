// Tags: which numbers a session's calls have, the lowest free one first, and what each stands for.
//
// A table of tags in use for one direction: the sender takes the lowest free tag; the receiver puts
// in what its peer chose. Finding one is an index for the low tags that everybody uses, and a hash
// for others, so one high tag costs no memory for those below it.
//
// Lifetime: of its session; pointers to values hold until their tag is removed. Threading: that of
// its session. Errors: none; the caller asks before it adds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <queue>
#include <unordered_map>
#include <utility>
#include <vector>

#include "mux/message.h"

namespace trestle::mux {

// `kLast` is the highest tag that is given out; tests have a lower one. A table either gives tags
// out or takes those of a peer: one that did both would remember a freed tag twice.
template <class T, uint32_t kLast = kMaxTag>
class Tags {
 public:
  // Puts `value` under the lowest free tag from kFirstTag on, and gives that; 0 when all are taken.
  uint32_t Add(T value) {
    uint32_t tag = 0;
    while (tag == 0 && !freed_.empty()) {
      if (!Find(freed_.top())) tag = freed_.top();
      freed_.pop();
    }
    while (tag == 0 && next_ <= kLast) {
      if (!Find(next_)) tag = next_;
      ++next_;
    }
    if (tag != 0) Put(tag, std::move(value));
    return tag;
  }
  // Puts `value` under the tag that a peer chose, which must not be in use.
  T* Put(uint32_t tag, T value) {
    ++size_;
    if (tag >= kLow) return &high_.emplace(tag, std::move(value)).first->second;
    if (low_.size() <= tag) low_.resize(tag + 1);
    return &low_[tag].emplace(std::move(value));
  }
  T* Find(uint32_t tag) {
    if (tag < kLow) return tag < low_.size() && low_[tag] ? &*low_[tag] : nullptr;
    auto it = high_.find(tag);
    return it == high_.end() ? nullptr : &it->second;
  }
  void Remove(uint32_t tag) {
    if (!Find(tag)) return;
    if (tag < kLow) {
      low_[tag].reset();
    } else {
      high_.erase(tag);
    }
    --size_;
    if (tag >= kFirstTag && tag < next_) freed_.push(tag);
  }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  // All tags in use, in any order.
  std::vector<uint32_t> All() const {
    std::vector<uint32_t> all;
    all.reserve(size_);
    for (uint32_t tag = 0; tag < low_.size(); tag++) {
      if (low_[tag]) all.push_back(tag);
    }
    for (const auto& [tag, value] : high_) all.push_back(tag);
    return all;
  }

 private:
  static constexpr uint32_t kLow = 4096;
  std::deque<std::optional<T>> low_;  // as long as the highest low tag that was ever used
  std::unordered_map<uint32_t, T> high_;
  std::priority_queue<uint32_t, std::vector<uint32_t>, std::greater<>> freed_;
  uint32_t next_ = kFirstTag;  // none was given out from here on
  size_t size_ = 0;
};

}  // namespace trestle::mux
