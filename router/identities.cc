#include "router/identities.h"

#include <fnmatch.h>

#include <algorithm>
#include <string_view>

namespace trestle::router {
namespace {

// Nothing but "*" stands for something else.
std::string GlobOf(std::string_view pattern) {
  std::string glob;
  for (char c : pattern) {
    if (c == '?' || c == '[' || c == '\\') glob.push_back('\\');
    glob.push_back(c);
  }
  return glob;
}

}  // namespace

Identities::Identities(const std::vector<std::string>& patterns) {
  for (const std::string& pattern : patterns) globs_.push_back(GlobOf(pattern));
}

bool Identities::Have(const std::string& identity) const {
  if (identity.empty()) return false;
  const bool uri = identity.find(':') != std::string::npos;
  return std::any_of(globs_.begin(), globs_.end(), [&identity, uri](const std::string& glob) {
    const bool of_uris = glob.find(':') != std::string::npos;
    return (glob == "*" || of_uris == uri) && fnmatch(glob.c_str(), identity.c_str(), 0) == 0;
  });
}

}  // namespace trestle::router
