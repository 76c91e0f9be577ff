// The timers of a call: armed when it begins, cancelled when its reply comes, among those of all
// other calls in flight.
#include <benchmark/benchmark.h>

#include <chrono>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "net/event_loop.h"

namespace trestle::net {
namespace {

void BM_TimerArmAndCancel(benchmark::State& state) {
  base::FakeClock clock;
  EventLoop loop(&clock);
  std::vector<std::unique_ptr<Timer>> others;
  for (int64_t i = 0; i < state.range(0); i++) {
    others.push_back(std::make_unique<Timer>(&loop, [] {}));
    others.back()->Arm(std::chrono::milliseconds(1000 + i));
  }
  Timer timer(&loop, [] {});
  for (auto _ : state) {
    timer.Arm(std::chrono::seconds(5));
    timer.Cancel();
  }
}
BENCHMARK(BM_TimerArmAndCancel)->Arg(0)->Arg(100)->Arg(10'000);

}  // namespace
}  // namespace trestle::net
