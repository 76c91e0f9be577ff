#include "serversets/serverset_tree.h"

#include <algorithm>
#include <utility>

namespace trestle::serversets {
namespace {

using naming::Addr;
using Kind = ServersetTree::Found::Kind;

// ZooKeeper takes no other.
bool IsZnode(const std::string& name) {
  if (name.empty() || name == "." || name == "..") return false;
  return std::none_of(name.begin(), name.end(), [](char c) {
    return c == '/' || static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
}

std::string PathOf(const std::vector<std::string>& znodes) {
  std::string path;
  for (const std::string& znode : znodes) path += "/" + znode;
  return path.empty() ? "/" : path;
}

}  // namespace

ServersetTree::ServersetTree(const ServersetPlace& place)
    : place_(place), sets_(std::make_shared<Sets>()), session_(place.session->Subscribe([this] {
        for (const auto& set : sets()) set->OnSession();
      })) {}

ServersetTree::~ServersetTree() = default;

ServersetTree::Found ServersetTree::Find(const naming::ServersetName& name,
                                         const std::optional<std::string>& below,
                                         naming::Dependencies* deps) {
  const bool possible = std::all_of(name.znodes.begin(), name.znodes.end(), IsZnode);
  if (!possible || IsAbsent(name.znodes)) return {};
  const auto set = At(name.znodes);
  deps->Add(set);
  switch (set->state()) {
    case Serverset::State::kUnknown:
      return {Kind::kPending, place_.cache && !place_.session->connected(), "", nullptr};
    case Serverset::State::kFailed:
      return {Kind::kFailed, false, set->why(), nullptr};
    case Serverset::State::kMissing:
      return {};
    case Serverset::State::kThere:
      break;
  }
  if (below) {
    deps->Add(set->Awaits(*below));
    if (set->HasChild(*below) && ReadAgain(name.znodes, *below)) {
      return {Kind::kPending, false, "", nullptr};
    }
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

bool ServersetTree::ReadAgain(Znodes znodes, const std::string& below) {
  znodes.push_back(below);
  const auto set = Known(znodes);
  if (!set || set->state() != Serverset::State::kMissing) return false;
  set->Read();
  return true;
}

std::shared_ptr<Serverset> ServersetTree::Known(const Znodes& znodes) const {
  const auto at = sets_->find(znodes);
  return at == sets_->end() ? nullptr : at->second.lock();
}

bool ServersetTree::IsAbsent(const Znodes& znodes) const {
  for (size_t n = znodes.size(); n-- > 0;) {
    const auto parent = Known(Znodes(znodes.begin(), znodes.begin() + static_cast<ptrdiff_t>(n)));
    if (parent && parent->has_list()) return !parent->HasChild(znodes[n]);
  }
  return false;
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
