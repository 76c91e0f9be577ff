// Random: where chance comes from, so that a test can fix it.
//
// Lifetime: outlives everybody who was handed it. Threading: one user at a time; every worker has
// its own. Errors: none.
#pragma once

#include <cstdint>

namespace trestle::base {

class Random {
 public:
  virtual ~Random() = default;
  // All 64 bits even.
  virtual uint64_t Next() = 0;
  // Even in [0, n); n > 0.
  uint32_t Below(uint32_t n) { return static_cast<uint32_t>(((Next() >> 32) * n) >> 32); }
  // Even in [0, 1).
  double Unit() { return static_cast<double>(Next() >> 11) * 0x1.0p-53; }
};

// splitmix64: fast, small and even enough for balancing; not for secrets.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(uint64_t seed) : state_(seed) {}
  uint64_t Next() override {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }

 private:
  uint64_t state_;
};

}  // namespace trestle::base
