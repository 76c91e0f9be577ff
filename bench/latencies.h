// Latencies: how long calls took, finer than the router's own histograms: 64 steps to every
// doubling, an error of at most 1.6 %.
//
// Lifetime: a value. Threading: one user at a time. Errors: none; 0 for every quantile of nothing.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace trestle::bench {

class Latencies {
 public:
  void Record(uint64_t ns) {
    ++buckets_[BucketOf(ns)];
    ++count_;
  }
  void Add(const Latencies& other) {
    for (size_t i = 0; i < buckets_.size(); i++) buckets_[i] += other.buckets_[i];
    count_ += other.count_;
  }
  // In microseconds; `part` is 0.5 for the median.
  double Quantile(double part) const {
    auto left = static_cast<int64_t>(part * static_cast<double>(count_));
    size_t i = 0;
    while (i + 1 < buckets_.size() && (left -= static_cast<int64_t>(buckets_[i])) >= 0) i++;
    return count_ ? static_cast<double>(Middle(i)) / 1000 : 0;
  }

 private:
  static constexpr uint32_t kBits = 6;
  static constexpr size_t kBuckets = (64 - kBits + 1) << kBits;

  static size_t BucketOf(uint64_t ns) {
    if (ns < 1u << kBits) return ns;
    const auto shift = static_cast<uint32_t>(std::bit_width(ns)) - 1 - kBits;
    return (size_t{shift} << kBits) + (ns >> shift);
  }
  static uint64_t Middle(size_t bucket) {
    if (bucket < 2u << kBits) return bucket;
    const size_t shift = (bucket >> kBits) - 1;
    return ((bucket - (shift << kBits)) << shift) + (uint64_t{1} << shift) / 2;
  }

  std::array<uint64_t, kBuckets> buckets_{};
  uint64_t count_ = 0;
};

}  // namespace trestle::bench
