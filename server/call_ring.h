// CallRing: the calls of one connection in the order in which they came.
//
// Lifetime: of its session; memory is taken at the first call, as an idle connection has none.
// Threading: its loop's. Errors: none; taking from an empty ring is a fault of the caller.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "call/call.h"

namespace trestle::server {

class CallRing {
 public:
  bool empty() const { return size_ == 0; }
  uint32_t size() const { return size_; }
  call::Call* at(uint32_t i) const { return at_[Place(i)].get(); }
  call::Call* front() const { return at(0); }
  call::Call* back() const { return at(size_ - 1); }
  void PushBack(std::unique_ptr<call::Call> call) {
    if (size_ == room_) Grow();
    at_[Place(size_++)] = std::move(call);
  }
  std::unique_ptr<call::Call> PopFront() {
    auto call = std::move(at_[first_]);
    first_ = Place(1);
    --size_;
    return call;
  }
  std::unique_ptr<call::Call> PopBack() { return std::move(at_[Place(--size_)]); }

 private:
  uint32_t Place(uint32_t i) const { return (first_ + i) & (room_ - 1); }
  void Grow() {
    const uint32_t room = room_ == 0 ? 4 : 2 * room_;
    auto more = std::make_unique<std::unique_ptr<call::Call>[]>(room);
    for (uint32_t i = 0; i < size_; i++) more[i] = std::move(at_[Place(i)]);
    at_ = std::move(more);
    first_ = 0;
    room_ = room;
  }

  std::unique_ptr<std::unique_ptr<call::Call>[]> at_;
  uint32_t room_ = 0;  // a power of two, or nothing yet
  uint32_t first_ = 0;
  uint32_t size_ = 0;
};

}  // namespace trestle::server
