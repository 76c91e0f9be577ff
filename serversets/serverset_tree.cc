#include "serversets/serverset_tree.h"

#include <algorithm>
#include <utility>

namespace trestle::serversets {
namespace {

using naming::Addr;
using Kind = ServersetTree::Found::Kind;
using Znodes = std::vector<std::string>;

// ZooKeeper takes no other.
bool IsZnode(const std::string& name) {
  if (name.empty() || name == "." || name == "..") return false;
  return std::none_of(name.begin(), name.end(), [](char c) {
    return c == '/' || static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
}

std::string PathOf(const Znodes& znodes) {
  std::string path;
  for (const std::string& znode : znodes) path += "/" + znode;
  return path.empty() ? "/" : path;
}

Znodes First(const Znodes& znodes, size_t n) {
  return {znodes.begin(), znodes.begin() + static_cast<ptrdiff_t>(n)};
}

}  // namespace

ServersetTree::ServersetTree(const ServersetPlace& place)
    : place_(place), sets_(std::make_shared<Sets>()), session_(place.session->Subscribe([this] {
        for (const auto& set : sets()) set->OnSession();
      })) {}

ServersetTree::~ServersetTree() = default;

ServersetTree::Found ServersetTree::Find(const naming::ServersetName& name,
                                         naming::Dependencies* deps) {
  const Znodes& znodes = name.znodes;
  if (!std::all_of(znodes.begin(), znodes.end(), IsZnode)) return {};
  const Told told = ToldByParents(znodes, deps);
  if (told == Told::kAbsent) return {};
  const auto set = At(znodes);
  deps->Add(set);
  switch (set->state()) {
    case Serverset::State::kUnknown:
      return {Kind::kPending, told == Told::kNothing && !place_.session->connected(), "", nullptr};
    case Serverset::State::kFailed:
      return {Kind::kFailed, false, set->why(), nullptr};
    case Serverset::State::kMissing:
      return FindMissing(znodes, deps);
    case Serverset::State::kThere:
      break;
  }
  const auto view = set->View(name.endpoint, name.shard);
  deps->Add(view);
  const Addr& addr = view->value();
  switch (addr.kind) {
    case Addr::Kind::kPending:
      return {Kind::kPending, false, "", nullptr};
    case Addr::Kind::kFailed:
      return {Kind::kFailed, false, addr.cause, nullptr};
    case Addr::Kind::kNeg:
      break;
    case Addr::Kind::kBound:
      return {Kind::kBound, false, "", view->addr()};
  }
  return {};
}

ServersetTree::Found ServersetTree::FindMissing(const Znodes& znodes, naming::Dependencies* deps) {
  for (size_t n = znodes.size(); n-- > 0;) {
    const auto parent = At(First(znodes, n));
    deps->Add(parent);
    if (parent->state() == Serverset::State::kMissing) continue;
    if (parent->state() != Serverset::State::kThere) return {};  // it tells when it is read
    deps->Add(parent->Awaits(znodes[n]));
    const auto child = Known(First(znodes, n + 1));
    if (!parent->HasChild(znodes[n]) || !child || child->state() != Serverset::State::kMissing) {
      return {};
    }
    child->Read();  // it came meanwhile
    return {Kind::kPending, false, "", nullptr};
  }
  return {};
}

std::shared_ptr<Serverset> ServersetTree::Known(const Znodes& znodes) const {
  const auto at = sets_->find(znodes);
  return at == sets_->end() ? nullptr : at->second.lock();
}

ServersetTree::Told ServersetTree::ToldByParents(const Znodes& znodes,
                                                 naming::Dependencies* deps) const {
  for (size_t n = znodes.size(); n-- > 0;) {
    const auto parent = Known(First(znodes, n));
    if (!parent || !parent->has_list()) continue;
    // Of a child that is there only this one's own list can tell what it has.
    if (parent->HasChild(znodes[n])) return n + 1 == znodes.size() ? Told::kThere : Told::kNothing;
    deps->Add(parent);
    deps->Add(parent->Awaits(znodes[n]));
    return Told::kAbsent;
  }
  return Told::kNothing;
}

// It leaves the map when its last user goes.
std::shared_ptr<Serverset> ServersetTree::At(const Znodes& znodes) {
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

std::vector<std::shared_ptr<Serverset>> ServersetTree::sets() const {
  std::vector<std::shared_ptr<Serverset>> all;
  for (const auto& [znodes, known] : *sets_) {
    if (auto set = known.lock()) all.push_back(std::move(set));
  }
  return all;
}

}  // namespace trestle::serversets
