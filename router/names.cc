#include "router/names.h"

#include <algorithm>

namespace trestle::router {
namespace {

bool SameNamers(const naming::NamerSet& a, const naming::NamerSet& b) {
  return a.system == b.system && a.old_aliases == b.old_aliases &&
         std::equal(a.entries.begin(), a.entries.end(), b.entries.begin(), b.entries.end(),
                    [](const auto& x, const auto& y) {
                      return x.namer == y.namer && x.prefix == y.prefix;
                    });
}

}  // namespace

Names::Names(net::EventLoop* loop, std::shared_ptr<const naming::NamerSet> namers, BaseDtabs dtabs,
             base::Scope* scope)
    : loop_(loop),
      namers_(std::move(namers)),
      base_dtabs_(std::move(dtabs)),
      count_(scope->gauge("bindings")),
      rebinds_(scope->counter("rebinds")) {}

Names::~Names() = default;

void Names::Acquire(NameKey key, naming::Path path, naming::Dtab local,
                    std::shared_ptr<NameListener> listener, uint64_t token) {
  loop_->Post([this, key = std::move(key), path = std::move(path), local = std::move(local),
               listener = std::move(listener), token] {
    std::shared_ptr<Binding>& binding = bindings_[key];
    if (!binding) {
      binding = std::make_shared<Binding>(this, path, local);
      auto base = base_dtabs_.find(key.router);
      if (base != base_dtabs_.end()) binding->SetBase(base->second);
      binding->Bind();
      count_->Set(static_cast<int64_t>(bindings_.size()));
    }
    binding->Add(listener, token);
  });
}

void Names::Release(NameKey key, std::shared_ptr<NameListener> listener, uint64_t token) {
  loop_->Post([this, key = std::move(key), listener = std::move(listener), token] {
    auto it = bindings_.find(key);
    if (it == bindings_.end()) return;
    it->second->Remove(listener.get(), token);
    if (!it->second->unused()) return;
    bindings_.erase(it);
    count_->Set(static_cast<int64_t>(bindings_.size()));
  });
}

void Names::Reconfigure(std::shared_ptr<const naming::NamerSet> namers, const BaseDtabs& dtabs) {
  loop_->AssertInLoop();
  const bool same_namers = SameNamers(*namers, *namers_);
  if (!same_namers) namers_ = std::move(namers);
  BaseDtabs changed;
  for (const auto& [router, dtab] : dtabs) {
    auto known = base_dtabs_.find(router);
    if (known == base_dtabs_.end() || !(known->second == dtab)) changed[router] = dtab;
    base_dtabs_[router] = dtab;
  }
  for (auto& [key, binding] : bindings_) {
    auto dtab = changed.find(key.router);
    if (dtab != changed.end()) binding->SetBase(dtab->second);
    // In their order, but not now: a Bind can be long.
    if (dtab != changed.end() || !same_namers) binding->BindSoon();
  }
}

void Names::Forget(uint32_t router) {
  loop_->AssertInLoop();
  base_dtabs_.erase(router);
}

std::shared_ptr<Destination> Names::Find(const naming::BoundName& name) {
  DestinationKey key(name.addr.get(), name.id.Show());
  std::weak_ptr<Destination>& known = (*destinations_)[key];
  if (auto destination = known.lock()) return destination;
  std::shared_ptr<Destination> made(new Destination(key.second, name.addr),
                                    [all = destinations_, key](Destination* dead) {
                                      all->erase(key);
                                      delete dead;
                                    });
  known = made;
  return made;
}

}  // namespace trestle::router
