#include "serversets/serverset_namer.h"

#include <utility>

#include "naming/serverset.h"

namespace trestle::serversets {
namespace {

using naming::Addr;
using naming::Lookup;
using naming::Path;

// ZooKeeper takes no such path.
bool IsZnode(const std::string& name) {
  if (name.empty() || name == "." || name == "..") return false;
  for (const char c : name) {
    if (c == '/' || static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return false;
  }
  return true;
}

std::string PathOf(const std::vector<std::string>& znodes) {
  std::string path;
  for (const std::string& znode : znodes) path += "/" + znode;
  return path.empty() ? "/" : path;
}

}  // namespace

ServersetNamer::ServersetNamer(const ServersetPlace& place)
    : place_(place), sets_(std::make_shared<Sets>()) {}

ServersetNamer::~ServersetNamer() = default;

Lookup ServersetNamer::Find(const Path& prefix, const Path& rest, naming::Dependencies* deps) {
  std::shared_ptr<Serverset> below;  // of the step before, if it is missing
  for (size_t n = rest.size();; n--) {
    const Path tried(Znodes(rest.labels().begin(), rest.labels().begin() + n));
    const auto name = naming::ParseServersetName(tried);
    if (!name.ok()) return Lookup::Failed(name.status().message());
    const bool possible = std::all_of(name->znodes.begin(), name->znodes.end(), IsZnode);
    if (possible && !IsAbsent(name->znodes)) {
      const auto set = At(name->znodes);
      deps->Add(set);
      if (set->state() == Serverset::State::kUnknown) return Lookup::Pending();
      if (set->state() == Serverset::State::kFailed) return Lookup::Failed(set->why());
      if (set->state() == Serverset::State::kThere) {
        // The whole path comes first, so the name hangs on what may come below, too.
        if (n < rest.size()) {
          const auto child = naming::ParseServersetName(Path(Znodes{rest.labels()[n]}));
          const std::string& znode = child.ok() ? child->znodes[0] : rest.labels()[n];
          deps->Add(set->Awaits(znode));
          if (below && set->HasChild(znode)) {  // it came meanwhile
            below->Read();
            return Lookup::Pending();
          }
        }
        const auto view = set->View(name->endpoint, name->shard);
        deps->Add(view);
        const Addr& addr = view->value();
        if (addr.kind == Addr::Kind::kPending) return Lookup::Pending();
        if (addr.kind == Addr::Kind::kFailed) return Lookup::Failed(addr.cause);
        if (addr.kind == Addr::Kind::kBound) {
          return Lookup::Bound({prefix + tried, rest.Drop(n), view->addr()});
        }
      }
      below = set->state() == Serverset::State::kMissing ? set : nullptr;
    } else {
      below = nullptr;
    }
    if (n == 0) return Lookup::Neg();
  }
}

std::shared_ptr<Serverset> ServersetNamer::Known(const Znodes& znodes) const {
  const auto at = sets_->find(znodes);
  return at == sets_->end() ? nullptr : at->second.lock();
}

bool ServersetNamer::IsAbsent(const Znodes& znodes) const {
  for (size_t n = znodes.size(); n-- > 0;) {
    const auto parent = Known(Znodes(znodes.begin(), znodes.begin() + n));
    if (!parent || parent->state() != Serverset::State::kThere || parent->vanished()) continue;
    return !parent->HasChild(znodes[n]);
  }
  return false;
}

// It leaves the map when its last user goes.
std::shared_ptr<Serverset> ServersetNamer::At(const Znodes& znodes) {
  if (auto set = Known(znodes)) return set;
  std::shared_ptr<Serverset> set(new Serverset(&place_, PathOf(znodes)),
                                 [sets = sets_, znodes](Serverset* dead) {
                                   sets->erase(znodes);
                                   delete dead;
                                 });
  (*sets_)[znodes] = set;
  set->Read();
  return set;
}

std::vector<std::shared_ptr<Serverset>> ServersetNamer::sets() const {
  std::vector<std::shared_ptr<Serverset>> all;
  for (const auto& [znodes, known] : *sets_) {
    if (auto set = known.lock()) all.push_back(std::move(set));
  }
  return all;
}

}  // namespace trestle::serversets
