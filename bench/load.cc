// bench_load: makes echo calls to a port of this host, checks every reply, and prints what came of
// it as one line of JSON. Exit code 1 if any reply was wrong or any connection broke.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
#include <thread>
#include <vector>

#include "bench/load_thread.h"
#include "bench/process_cpu.h"

namespace trestle::bench {
namespace {

using Clock = std::chrono::steady_clock;
constexpr double kLook = 0.02;    // seconds: how often it looks whether all is over
constexpr double kPatience = 20;  // seconds: how long it waits for a first reply

struct Options {
  LoadOptions load;
  std::string name = "bench:echo";
  double seconds = 2, warmup = 0.5;
  uint32_t threads = 1;
  std::vector<int> watch;
};

void AddOptions(CLI::App* app, Options* o) {
  app->add_option("--port", o->load.port, "where the calls go, on 127.0.0.1")->required();
  const std::map<std::string, Dialect> dialects{{"framed", Dialect::kFramed},
                                                {"mux", Dialect::kMux}};
  app->add_option("--dialect", o->load.dialect, "framed (default), mux")
      ->transform(CLI::CheckedTransformer(dialects));
  app->add_option("--name", o->name, "the method, perhaps with its service")->capture_default_str();
  app->add_option("--payload", o->load.payload_bytes, "bytes of the string that is echoed")
      ->capture_default_str();
  app->add_option("--connections", o->load.connections)
      ->check(CLI::Range(1, 20'000))
      ->capture_default_str();
  app->add_option("--in-flight", o->load.in_flight, "calls on each connection")
      ->check(CLI::Range(1u, kMaxInFlight))
      ->capture_default_str();
  app->add_option("--rate", o->load.rate, "calls a second, open loop; 0: closed loop")
      ->capture_default_str();
  app->add_option("--seconds", o->seconds, "the counted window")->capture_default_str();
  app->add_option("--warmup", o->warmup, "seconds before it")->capture_default_str();
  app->add_option("--threads", o->threads)->check(CLI::Range(1, 256))->capture_default_str();
  app->add_option("--watch", o->watch, "processes whose CPU time is counted")->delimiter(',');
}

// What was so far, at one moment.
struct Mark {
  Clock::time_point at;
  uint64_t calls = 0;
  ProcessCpu cpu;
};

class Run {
 public:
  explicit Run(const Options& o) : o_(o), message_(o.load.dialect, o.name, o.load.payload_bytes) {
    const uint32_t threads = std::min(o.threads, o.load.connections);
    for (uint32_t i = 0; i < threads; i++) {
      LoadOptions share = o.load;
      share.connections = o.load.connections / threads + (i < o.load.connections % threads);
      share.rate = o.load.rate / threads;
      loads_.push_back(std::make_unique<LoadThread>(share, &message_));
    }
  }

  // Gives the line of JSON; *errors counts what went wrong.
  std::string Go(uint64_t* errors) {
    std::vector<std::thread> threads;
    for (auto& load : loads_) threads.emplace_back([&load] { load->Run(); });
    Sleep(o_.warmup, 0);
    const Mark begin = Now();
    for (auto& load : loads_) load->CountLatencies(true);
    Sleep(o_.seconds, begin.calls);
    for (auto& load : loads_) load->CountLatencies(false);
    const Mark end = Now();
    for (auto& load : loads_) load->Stop();
    for (auto& thread : threads) thread.join();
    return Report(begin, end, errors);
  }

 private:
  // Also until there were more than `calls`, but not for ever, and not when nothing goes on any
  // more: on a slow machine a short window would have nothing in it.
  void Sleep(double seconds, uint64_t calls) const {
    const auto begin = Clock::now();
    while (!std::ranges::all_of(loads_, [](const auto& load) { return load->over(); })) {
      const double passed = std::chrono::duration<double>(Clock::now() - begin).count();
      double left = seconds - passed;
      if (left <= 0 && (Calls() > calls || passed > seconds + kPatience)) return;
      if (left <= 0 || left > kLook) left = kLook;
      std::this_thread::sleep_for(std::chrono::duration<double>(left));
    }
  }
  uint64_t Calls() const {
    uint64_t sum = 0;
    for (const auto& load : loads_) sum += load->calls();
    return sum;
  }
  Mark Now() const { return {Clock::now(), Calls(), ProcessCpu::Of(o_.watch)}; }
  std::string Report(const Mark& begin, const Mark& end, uint64_t* errors) const {
    Latencies latencies;
    std::string first_error;
    for (const auto& load : loads_) {
      latencies.Add(load->latencies());
      *errors += load->errors();
      if (first_error.empty()) first_error = load->first_error();
    }
    const uint64_t calls = end.calls - begin.calls;
    const double seconds = std::chrono::duration<double>(end.at - begin.at).count();
    nlohmann::ordered_json out{{"calls", calls},
                               {"all_calls", Calls()},
                               {"calls_per_s", static_cast<double>(calls) / seconds},
                               {"seconds", seconds},
                               {"p50_us", latencies.Quantile(0.5)},
                               {"p99_us", latencies.Quantile(0.99)},
                               {"p999_us", latencies.Quantile(0.999)},
                               {"errors", *errors},
                               {"first_error", first_error}};
    if (!o_.watch.empty()) {
      const std::vector<uint64_t> spent = ProcessCpu::Spent(begin.cpu, end.cpu);
      const auto ns = static_cast<double>(std::accumulate(spent.begin(), spent.end(), uint64_t{0}));
      if (calls > 0) out["cpu_us_per_call"] = ns / 1000 / static_cast<double>(calls);
      out["cpu_ns_of_threads"] = spent;
    }
    return out.dump();
  }

  const Options& o_;
  EchoMessage message_;
  std::vector<std::unique_ptr<LoadThread>> loads_;
};

}  // namespace
}  // namespace trestle::bench

int main(int argc, char** argv) {  // NOLINT(bugprone-exception-escape): it ends the program
  trestle::bench::Options options;
  CLI::App app{"bench_load: echo calls to a Thrift server or router, counted and checked"};
  trestle::bench::AddOptions(&app, &options);
  CLI11_PARSE(app, argc, argv);
  uint64_t errors = 0;
  std::puts(trestle::bench::Run(options).Go(&errors).c_str());
  return errors == 0 ? 0 : 1;
}
