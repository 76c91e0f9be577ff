// What tests of namers share: hosts that are answered as the test says, and names that stay bound
// as a router holds them.
//
// Lifetime: a Binding goes before its namer. Threading: one loop. Errors: none.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "naming/inet.h"
#include "naming/namer.h"

namespace trestle::tests {

// Answers hosts as the test says.
class FakeInet final : public naming::InetResolver {
 public:
  std::shared_ptr<naming::Var<naming::Addr>> Resolve(const std::string& host,
                                                     uint16_t port) override {
    auto& weak = vars_[{host, port}];
    auto var = weak.lock();
    if (!var) weak = var = std::make_shared<naming::Var<naming::Addr>>();
    return var;
  }
  bool Asked(const std::string& host, uint16_t port) const {
    auto at = vars_.find({host, port});
    return at != vars_.end() && !at->second.expired();
  }
  void Say(const std::string& host, uint16_t port, naming::Addr addr) {
    if (auto var = vars_[{host, port}].lock()) var->Set(std::move(addr));
  }
  void SayIps(const std::string& host, uint16_t port, const std::vector<std::string>& ips) {
    std::vector<naming::Endpoint> endpoints;
    for (auto& ip : ips) endpoints.push_back({ip, port, 1.0, false});
    Say(host, port, naming::Addr::Bound(std::move(endpoints)));
  }

 private:
  std::map<std::pair<std::string, uint16_t>, std::weak_ptr<naming::Var<naming::Addr>>> vars_;
};

// "10.0.0.1:80*0.5, …", "bound({})", "neg", "pending", "failed: CAUSE"; " (CAUSE)" when stale.
inline std::string ShowAddr(const naming::Addr& addr) {
  using Kind = naming::Addr::Kind;
  if (addr.kind == Kind::kNeg) return "neg";
  if (addr.kind == Kind::kPending) return "pending";
  if (addr.kind == Kind::kFailed) return "failed: " + addr.cause;
  std::string text;
  for (auto& e : addr.endpoints) {
    text += (text.empty() ? "" : ", ") + e.Show();
    if (e.has_weight) text += "*" + std::to_string(e.weight).substr(0, 3);
  }
  if (text.empty()) text = "bound({})";
  return addr.cause.empty() ? text : text + " (" + addr.cause + ")";
}

// A name bound by one namer, bound again whenever what it hangs on changes.
class Binding {
 public:
  Binding(naming::Namer* namer, naming::Path path, std::string prefix = "io.l5d.fs")
      : namer_(namer), path_(std::move(path)), prefix_(std::move(prefix)) {
    Find();
  }
  Binding(const Binding&) = delete;
  Binding& operator=(const Binding&) = delete;

  // "neg", "failed: …", or "ID RESIDUAL = ADDR".
  std::string Show() const {
    if (lookup_.state == naming::Lookup::State::kFailed) return "failed: " + lookup_.error;
    if (lookup_.state == naming::Lookup::State::kPending) return "pending";
    if (!lookup_.tree.is(naming::NameTree<naming::Name>::Kind::kLeaf)) return "neg";
    auto& bound = *lookup_.tree.leaf.bound;
    return bound.id.Show() + " " + bound.residual.Show() + " = " + ShowAddr(bound.addr->Get());
  }
  // The address alone.
  std::string Addr() const {
    std::string text = Show();
    size_t at = text.find(" = ");
    return at == std::string::npos ? text : text.substr(at + 3);
  }
  std::shared_ptr<naming::Var<naming::Addr>> var() const {
    return lookup_.tree.leaf.bound ? lookup_.tree.leaf.bound->addr : nullptr;
  }
  int finds() const { return finds_; }

 private:
  void Find() {
    finds_++;
    naming::Dependencies deps;
    lookup_ = namer_->Find(naming::Path({"#", prefix_}), path_, &deps);
    auto sources = deps.Take();
    std::vector<naming::Subscription> subscriptions;
    for (auto& source : sources) subscriptions.push_back(source->Subscribe([this] { Find(); }));
    // The old ones may go right here, in the middle of their telling.
    sources_.swap(sources);
    subscriptions_.swap(subscriptions);
  }

  naming::Namer* namer_;
  naming::Path path_;
  std::string prefix_;
  naming::Lookup lookup_;
  std::vector<std::shared_ptr<naming::Source>> sources_;
  std::vector<naming::Subscription> subscriptions_;
  int finds_ = 0;
};

}  // namespace trestle::tests
