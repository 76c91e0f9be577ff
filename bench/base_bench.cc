// What every call does to metrics: cells of the worker's own, no lock, no bus.
#include <benchmark/benchmark.h>

#include "base/metrics.h"
#include "base/random.h"

namespace trestle::base {
namespace {

void BM_CounterAdd(benchmark::State& state) {
  MetricsTable table;
  Counter* counter = table.root()->counter("requests");
  for (auto _ : state) counter->Add();
  benchmark::DoNotOptimize(counter->value());
}
BENCHMARK(BM_CounterAdd);

// Latencies as they come: most of them near each other, some far away.
void BM_HistogramRecord(benchmark::State& state) {
  MetricsTable table;
  Histogram* histogram = table.root()->histogram("latency_us");
  SeededRandom random(1);
  uint64_t values[256];
  for (uint64_t& value : values) value = 100 + random.Below(random.Below(10) ? 200 : 100'000);
  size_t i = 0;
  for (auto _ : state) histogram->Record(values[i++ % 256]);
  benchmark::DoNotOptimize(histogram->sum());
}
BENCHMARK(BM_HistogramRecord);

}  // namespace
}  // namespace trestle::base
