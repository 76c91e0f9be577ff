// The choice of an endpoint: power of two choices among 2, 10 and 100.
#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <vector>

#include "backend/balancer.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/random.h"
#include "bench/no_connector.h"
#include "call/call.h"
#include "net/event_loop.h"

namespace trestle::backend {
namespace {

class NoOwner final : public EndpointOwner {
  void OnLost(Endpoint*, call::Call*, call::Step, const base::Status&, bool, bool) override {}
  void OnNacked(Endpoint*, call::Call*, const base::Status&) override {}
  void OnUnused(Endpoint*) override {}
};

class Stage {
 public:
  Stage(int64_t endpoints, bool even) {
    std::vector<Endpoint*> all;
    for (int64_t i = 1; i <= endpoints; i++) {
      naming::Endpoint named{"10.0.0." + std::to_string(i), 80};
      if (!even) named.weight = static_cast<double>(1 + i % 3);
      endpoints_.push_back(std::make_unique<Endpoint>(
          &loop_, options_, &connector_, named, *net::Address::Parse(named.host, 80),
          &pool_metrics_, &accrual_metrics_, &random_, &owner_));
      all.push_back(endpoints_.back().get());
    }
    balancer_ = MakeBalancer(options_, &random_);
    balancer_->Update(all);
  }
  Endpoint* Pick() { return balancer_->Pick(call_, loop_.Now()); }

 private:
  base::FakeClock clock_;
  net::EventLoop loop_{&clock_};
  base::MetricsTable table_;
  PoolMetrics pool_metrics_{table_.root()};
  AccrualMetrics accrual_metrics_{table_.root()};
  base::SeededRandom random_{11};
  bench::NoConnector connector_;
  NoOwner owner_;
  Options options_;
  call::Call call_;
  std::vector<std::unique_ptr<Endpoint>> endpoints_;
  std::unique_ptr<Balancer> balancer_;
};

void BM_Pick(benchmark::State& state) {
  Stage stage(state.range(0), true);
  for (auto _ : state) benchmark::DoNotOptimize(stage.Pick());
}
BENCHMARK(BM_Pick)->Arg(2)->Arg(10)->Arg(100);

void BM_PickByWeight(benchmark::State& state) {
  Stage stage(state.range(0), false);
  for (auto _ : state) benchmark::DoNotOptimize(stage.Pick());
}
BENCHMARK(BM_PickByWeight)->Arg(2)->Arg(10)->Arg(100);

}  // namespace
}  // namespace trestle::backend
