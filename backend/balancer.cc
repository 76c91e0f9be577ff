#include "backend/balancer.h"

#include <algorithm>

namespace trestle::backend {
namespace {

bool Tried(const call::Call& call, const Endpoint* endpoint) {
  const uint64_t* end = call.tried + call.tried_count;
  return std::find(call.tried, end, endpoint->number()) != end;
}

// Of those not tried: an available one if there is any, before others one with a weight; else the
// one whose time out ends first.
Endpoint* LastResort(std::span<Endpoint* const> endpoints, const call::Call& call,
                     base::TimePoint now) {
  Endpoint* best = nullptr;
  Endpoint* weightless = nullptr;
  for (Endpoint* e : endpoints) {
    if (Tried(call, e)) continue;
    if (e->Available(now)) {
      if (e->weight() > 0) return e;
      weightless = e;
    }
    if (!best || e->accrual().out_until() < best->accrual().out_until()) best = e;
  }
  return weightless ? weightless : best;
}

// Two are drawn by weight, the less loaded one is taken.
class PowerOfTwoChoices final : public Balancer {
 public:
  PowerOfTwoChoices(uint32_t max_effort, base::Random* random)
      : max_effort_(max_effort), random_(random) {}

  void Update(std::span<Endpoint* const> endpoints) override {
    endpoints_.assign(endpoints.begin(), endpoints.end());
    sums_.clear();
    double sum = 0;
    even_ = true;
    for (Endpoint* e : endpoints_) {
      sum += std::max(0.0, e->weight());
      sums_.push_back(sum);
      even_ = even_ && e->weight() == endpoints_[0]->weight();
    }
    if (sum <= 0) even_ = true;
  }

  Endpoint* Pick(const call::Call& call, base::TimePoint now) override {
    if (endpoints_.empty()) return nullptr;
    if (endpoints_.size() == 1) return LastResort(endpoints_, call, now);
    for (uint32_t i = 0; i < max_effort_; i++) {
      Endpoint* a = Draw();
      Endpoint* b = Draw();
      bool usable_a = Usable(*a, call, now);
      bool usable_b = Usable(*b, call, now);
      if (usable_a && (!usable_b || Load(*a) <= Load(*b))) return a;
      if (usable_b) return b;
    }
    return LastResort(endpoints_, call, now);
  }

 private:
  static bool Usable(const Endpoint& e, const call::Call& call, base::TimePoint now) {
    return e.Available(now) && (call.tried_count == 0 || !Tried(call, &e));
  }
  static double Load(const Endpoint& e) {
    return e.weight() > 0 ? e.load() / e.weight() : e.load() * 1e9 + 1;
  }
  Endpoint* Draw() {
    auto n = static_cast<uint32_t>(endpoints_.size());
    if (even_) return endpoints_[random_->Below(n)];
    double at = random_->Unit() * sums_.back();
    size_t i = std::upper_bound(sums_.begin(), sums_.end(), at) - sums_.begin();
    return endpoints_[std::min<size_t>(i, n - 1)];
  }

  uint32_t max_effort_;
  base::Random* random_;
  std::vector<Endpoint*> endpoints_;
  std::vector<double> sums_;
  bool even_ = true;
};

// Everyone in turn, in shares by weight and smoothly mixed: each gains its weight a round, the
// richest is picked and pays for all.
class RoundRobin final : public Balancer {
 public:
  void Update(std::span<Endpoint* const> endpoints) override {
    endpoints_.assign(endpoints.begin(), endpoints.end());
  }

  Endpoint* Pick(const call::Call& call, base::TimePoint now) override {
    Endpoint* best = nullptr;
    double sum = 0;
    for (Endpoint* e : endpoints_) {
      if (!e->Available(now) || Tried(call, e) || e->weight() <= 0) continue;
      e->round_robin_credit += e->weight();
      sum += e->weight();
      if (!best || e->round_robin_credit > best->round_robin_credit) best = e;
    }
    if (!best) return LastResort(endpoints_, call, now);
    best->round_robin_credit -= sum;
    return best;
  }

 private:
  std::vector<Endpoint*> endpoints_;
};

}  // namespace

std::unique_ptr<Balancer> MakeBalancer(const Options& options, base::Random* random) {
  if (options.balance == Options::Balance::kRoundRobin) return std::make_unique<RoundRobin>();
  return std::make_unique<PowerOfTwoChoices>(options.max_effort, random);
}

}  // namespace trestle::backend
