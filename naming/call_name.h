// Names of calls: which path a Thrift call has, and the local dtab that its header brings.
//
// Lifetime, threading: pure functions. Errors: Code::kInvalid with Finagle's text: that call fails.
// Bounds: kMaxDelegations and kMaxDelegationBytes for what one request may bring (ours).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "naming/dtab.h"
#include "naming/path.h"

namespace trestle::naming {

// dst_prefix ++ dest (of a TTwitter request header) ++ what the message's name says:
// "userService:addUser" is /userService, with `method_in_dst` /userService/addUser; a name without
// a service is nothing, or /addUser.
base::Result<Path> NameOfCall(const Path& dst_prefix, std::optional<std::string_view> dest,
                              std::string_view message_name, bool method_in_dst);

inline constexpr size_t kMaxDelegations = 1'000;
inline constexpr size_t kMaxDelegationBytes = 64 * 1024;

// One delegation as a header carries it.
struct Delegation {
  std::string_view src;  // a prefix
  std::string_view dst;  // a tree
};
base::Result<Dtab> ParseDelegations(const std::vector<Delegation>& delegations);
// All of them as one text, with the same bounds.
base::Result<Dtab> ParseDtabText(std::string_view text);

}  // namespace trestle::naming
