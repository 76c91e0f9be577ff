#include "naming/call_name.h"

#include <algorithm>

#include "naming/text.h"

namespace trestle::naming {

base::Result<Path> NameOfCall(const Path& dst_prefix, std::optional<std::string_view> dest,
                              std::string_view message_name, bool method_in_dst) {
  Path name = dst_prefix;
  if (dest) {
    base::Result<Path> service = Path::Parse(*dest);
    if (!service.ok()) return service.status();
    name = name + *service;
  }
  std::string suffix(1, '/');
  const auto pieces = SplitDroppingEmptyTail(message_name, ':');
  if (pieces.size() == 2) {
    suffix += pieces[0];
    if (method_in_dst) suffix.append(1, '/').append(pieces[1]);
  } else if (method_in_dst) {
    suffix += message_name;
  } else {
    return name;
  }
  base::Result<Path> tail = Path::Parse(suffix);
  if (!tail.ok()) return tail.status();
  return name + *tail;
}

namespace {

base::Status CheckBounds(size_t entries, size_t bytes) {
  if (entries <= kMaxDelegations && bytes <= kMaxDelegationBytes) return base::Status::Ok();
  return base::Status(base::Code::kInvalid, "the local dtab has " + std::to_string(entries) +
                                                " entries and " + std::to_string(bytes) +
                                                " bytes: at most " +
                                                std::to_string(kMaxDelegations) + " and " +
                                                std::to_string(kMaxDelegationBytes) + " are taken");
}

}  // namespace

base::Result<Dtab> ParseDtabText(std::string_view text) {
  const auto entries = static_cast<size_t>(std::count(text.begin(), text.end(), ';'));
  base::Status bounds = CheckBounds(entries, text.size());
  if (!bounds.ok()) return bounds;
  return Dtab::Parse(text);
}

base::Result<Dtab> ParseDelegations(const std::vector<Delegation>& delegations) {
  size_t bytes = 0;
  for (const Delegation& delegation : delegations) {
    bytes += delegation.src.size() + delegation.dst.size();
  }
  base::Status bounds = CheckBounds(delegations.size(), bytes);
  if (!bounds.ok()) return bounds;
  Dtab dtab;
  for (const Delegation& delegation : delegations) {
    base::Result<Dentry> dentry = Dentry::Parse(delegation.src, delegation.dst);
    if (!dentry.ok()) return dentry.status();
    dtab.Append(std::move(*dentry));
  }
  return dtab;
}

}  // namespace trestle::naming
