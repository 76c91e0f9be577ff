#include "naming/resolve.h"

namespace trestle::naming {
namespace {

bool SaysNeg(const Lookup& lookup) {
  return lookup.state == Lookup::State::kOk && lookup.tree.is(NameTree<Name>::Kind::kNeg);
}

// Whether `path` is an old name, without the "/#", of one of the namers.
bool IsOldAlias(const NamerSet& namers, const Path& path) {
  if (path.empty() || path[0] == "#" || path[0] == "$") return false;
  for (const NamerSet::Entry& entry : namers.entries) {
    if (entry.prefix.size() < 2 || entry.prefix[0] != "#") continue;
    if (path.StartsWith(entry.prefix.Drop(1))) return true;
  }
  return false;
}

std::string WhyNobody(const Path& path) {
  if (!path.empty() && path[0] == "#") return "no namer is configured for " + path.Take(2).Show();
  return "no entry of the dtab begins this name";
}

}  // namespace

Lookup AskNamers(const NamerSet& namers, const Path& path, Dependencies* deps,
                 std::string* why_neg) {
  static const Path kSystem({"$"});
  std::string asked;
  for (const NamerSet::Entry& entry : namers.entries) {
    if (!path.StartsWith(entry.prefix)) continue;
    Lookup answer = entry.namer->Find(entry.prefix, path.Drop(entry.prefix.size()), deps);
    if (!SaysNeg(answer)) return answer;
    asked = entry.prefix.Show();
  }
  if (namers.system != nullptr && path.StartsWith(kSystem)) {
    Lookup answer = namers.system->Find(kSystem, path.Drop(1), deps);
    if (!SaysNeg(answer)) return answer;
    asked = path.Take(2).Show();
  }
  if (namers.old_aliases && asked.empty() && IsOldAlias(namers, path)) {
    return Lookup::To(Path({"#"}) + path);
  }
  if (why_neg != nullptr) {
    *why_neg = asked.empty() ? WhyNobody(path) : asked + " has no such name";
  }
  return Lookup::Neg();
}

}  // namespace trestle::naming
