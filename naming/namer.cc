#include "naming/namer.h"

#include <set>

namespace trestle::naming {

Lookup Lookup::Ok(NameTree<Name> tree) {
  Lookup lookup;
  lookup.tree = std::move(tree);
  return lookup;
}

Lookup Lookup::Pending() {
  Lookup lookup;
  lookup.state = State::kPending;
  return lookup;
}

Lookup Lookup::Failed(std::string error, std::string kind) {
  Lookup lookup;
  lookup.state = State::kFailed;
  lookup.error = std::move(error);
  lookup.kind = std::move(kind);
  return lookup;
}

Lookup Lookup::Bound(BoundName bound) {
  Name name;
  name.bound = std::make_shared<const BoundName>(std::move(bound));
  return Ok(NameTree<Name>::Leaf(std::move(name)));
}

Lookup Lookup::To(Path path) {
  Name name;
  name.path = std::move(path);
  return Ok(NameTree<Name>::Leaf(std::move(name)));
}

std::vector<std::shared_ptr<Source>> Dependencies::Take() {
  std::set<const Source*> seen;
  std::erase_if(sources_, [&](const auto& source) { return !seen.insert(source.get()).second; });
  return std::exchange(sources_, {});
}

}  // namespace trestle::naming
