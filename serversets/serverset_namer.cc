#include "serversets/serverset_namer.h"

#include <set>
#include <utility>

#include "naming/serverset.h"

namespace trestle::serversets {
namespace {

using naming::Addr;
using naming::Lookup;
using naming::Path;
using Found = ServersetTree::Found;
using Kind = Found::Kind;

// What is behind so many elements of a name is no znode.
constexpr size_t kMostZnodes = 32;

}  // namespace

// What several clusters have under one name. An endpoint of two of them counts once.
class ServersetNamer::Union {
 public:
  explicit Union(Vars parts) : parts_(std::move(parts)), all_(Sum()) {
    for (const auto& part : parts_) {
      changed_.push_back(part->Subscribe([this] { Update(); }));
    }
  }
  naming::Var<Addr>* all() { return &all_; }

 private:
  Addr Sum() const {
    Addr sum = Addr::Bound({});
    std::set<std::pair<std::string, uint16_t>> seen;
    for (const auto& part : parts_) {
      const Addr& addr = part->Get();
      if (addr.kind != Addr::Kind::kBound) continue;
      for (const naming::Endpoint& endpoint : addr.endpoints) {
        if (seen.insert({endpoint.host, endpoint.port}).second) sum.endpoints.push_back(endpoint);
      }
      if (sum.cause.empty()) sum.cause = addr.cause;
    }
    return sum.endpoints.empty() ? parts_.front()->Get() : sum;
  }
  void Update() {
    Addr sum = Sum();
    if (!(sum == all_.Get())) all_.Set(std::move(sum));
  }

  const Vars parts_;
  naming::Var<Addr> all_;
  std::vector<naming::Subscription> changed_;
};

ServersetNamer::ServersetNamer(const std::vector<ServersetPlace>& places) {
  for (const ServersetPlace& place : places) {
    clusters_.push_back(std::make_unique<ServersetTree>(place));
  }
}

ServersetNamer::~ServersetNamer() = default;

Lookup ServersetNamer::Find(const Path& prefix, const Path& rest, naming::Dependencies* deps) {
  bool unasked = false;
  for (size_t n = rest.size();; n--) {
    const Path tried(std::vector<std::string>(rest.labels().begin(),
                                              rest.labels().begin() + static_cast<ptrdiff_t>(n)));
    const auto name = naming::ParseServersetName(tried);
    if (!name.ok()) return Lookup::Failed(name.status().message());
    if (n > kMostZnodes) continue;
    Found found = FindInAll(*name, deps);
    switch (found.kind) {
      case Kind::kPending:
        if (!found.unasked) return Lookup::Pending();
        unasked = true;
        break;
      case Kind::kFailed:
        return unasked ? Lookup::Pending() : Lookup::Failed(std::move(found.why));
      case Kind::kBound:
        return Lookup::Bound({prefix + tried, rest.Drop(n), std::move(found.at)});
      case Kind::kNeg:
        break;
    }
    if (n == 0) return unasked ? Lookup::Pending() : Lookup::Neg();
  }
}

Found ServersetNamer::FindInAll(const naming::ServersetName& name, naming::Dependencies* deps) {
  if (clusters_.size() == 1) return clusters_[0]->Find(name, deps);
  Vars bound;
  std::optional<Found> pending, neg, failed;
  for (const auto& cluster : clusters_) {
    Found found = cluster->Find(name, deps);
    if (found.kind == Kind::kBound) bound.push_back(found.at);
    if (found.kind == Kind::kPending) {
      found.unasked &= !pending || pending->unasked;
      pending = std::move(found);
    }
    if (found.kind == Kind::kNeg) neg = std::move(found);
    if (found.kind == Kind::kFailed) failed = std::move(found);
  }
  if (bound.size() > 1) return {Kind::kBound, false, "", UnionOf(std::move(bound))};
  if (!bound.empty()) return {Kind::kBound, false, "", std::move(bound[0])};
  if (pending) return *pending;
  return neg ? *neg : *failed;
}

std::shared_ptr<const ServersetHistory> ServersetNamer::History(const std::string& hosts) const {
  auto history = std::make_shared<ServersetHistory>();
  for (const auto& cluster : clusters_) {
    if (cluster->place().session->hosts() != hosts) continue;
    for (const auto& set : cluster->sets()) {
      std::vector<naming::ServersetNode> good = set->Good();
      if (!good.empty()) (*history)[set->path()] = std::move(good);
    }
  }
  return history;
}

std::shared_ptr<naming::Var<Addr>> ServersetNamer::UnionOf(Vars vars) {
  std::erase_if(unions_, [](const auto& known) { return known.second.expired(); });
  std::vector<const void*> key;
  for (const auto& var : vars) key.push_back(var.get());
  auto& known = unions_[key];
  auto sum = known.lock();
  if (!sum) known = sum = std::make_shared<Union>(std::move(vars));
  return {sum, sum->all()};
}

}  // namespace trestle::serversets
