// Names: a call whose name the worker knows, from its method to the bound name, and the key alone.
#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/random.h"
#include "bench/no_connector.h"
#include "conf/config.h"
#include "naming/namer.h"
#include "naming/var.h"
#include "net/event_loop.h"
#include "router/binder.h"
#include "router/clients.h"
#include "router/identifier.h"
#include "router/names.h"

namespace trestle::router {
namespace {

// Knows every name, at one address.
class OneAddress final : public naming::Namer {
 public:
  naming::Lookup Find(const naming::Path& prefix, const naming::Path& rest,
                      naming::Dependencies*) override {
    if (rest.empty()) return naming::Lookup::Neg();
    return naming::Lookup::Bound({prefix + rest.Take(1), rest.Drop(1), addr_});
  }

 private:
  std::shared_ptr<naming::Var<naming::Addr>> addr_ =
      std::make_shared<naming::Var<naming::Addr>>(naming::Addr::Bound({{"10.0.0.1", 80}}));
};

// A binder with the control loop behind it, both turned by the benchmark's thread.
class Stage {
 public:
  explicit Stage(int64_t names) {
    auto namers = std::make_shared<naming::NamerSet>();
    namers->entries.push_back({*naming::Path::Parse("/#/one"), &namer_});
    auto config = std::make_shared<conf::Config>();
    config->routers.emplace_back();
    conf::RouterConfig& router = config->routers[0];
    router.dst_prefix = *naming::Path::Parse("/thrift");
    router.thrift_method_in_dst = true;
    router.client.entries.emplace_back();
    router.service.entries.emplace_back();
    const RouterPart part{config, &router};
    base::Scope* scope = table_.root()->Labelled("rt", "bench");
    names_ = std::make_unique<Names>(
        &control_, namers, Names::BaseDtabs{{0, *naming::Dtab::Parse("/thrift => /#/one")}},
        table_.root()->Child("names"));
    clients_ = std::make_unique<Clients>(
        &worker_, part, Share{},
        [](const conf::ClientOptions&) { return std::make_unique<bench::NoConnector>(); }, &random_,
        scope);
    binder_ = std::make_unique<Binder>(&worker_, names_.get(), 0, part, clients_.get(), scope,
                                       [](call::Call*, BoundNameEntry*) {});
    for (int64_t i = 0; i < names; i++) {
      calls_.push_back(std::make_unique<call::Call>());
      calls_.back()->method = "userService" + std::to_string(i) + ":addUser";
      Find(i);
    }
    while (control_.Poll() || worker_.Poll()) {
    }
  }
  ~Stage() {
    binder_.reset();
    clients_.reset();
    worker_.Poll();
  }

  // False: the name is not bound, which would measure something else.
  bool Find(int64_t i) {
    auto name = binder_->Find(*calls_[static_cast<size_t>(i)]);
    if (!name.ok()) return false;
    binder_->Unuse(*name);
    return (*name)->bound && !(*name)->bound->negative();
  }

 private:
  base::FakeClock clock_;
  net::EventLoop control_{&clock_}, worker_{&clock_};
  base::MetricsTable table_;
  base::SeededRandom random_{42};
  OneAddress namer_;
  std::unique_ptr<Names> names_;
  std::unique_ptr<Clients> clients_;
  std::unique_ptr<Binder> binder_;
  std::vector<std::unique_ptr<call::Call>> calls_;
};

void BM_FindBoundName(benchmark::State& state) {
  Stage stage(state.range(0));
  int64_t i = 0;
  for (auto _ : state) {
    if (!stage.Find(i++ % state.range(0))) return state.SkipWithError("not bound");
  }
}
BENCHMARK(BM_FindBoundName)->Arg(1)->Arg(500);

void BM_IdentifierKey(benchmark::State& state) {
  Identifier identifier(*naming::Path::Parse("/thrift"), true);
  call::Call call;
  call.method = "userService:addUser";
  for (auto _ : state) benchmark::DoNotOptimize(identifier.Key(call));
}
BENCHMARK(BM_IdentifierKey);

}  // namespace
}  // namespace trestle::router
