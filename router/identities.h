// Identities: patterns of the names that clients' certificates give them, "*" being any text:
// "spiffe://prod/*", "*.ci.example". A pattern with ":" is for URIs and one without for names of
// hosts, so that neither can pass for the other; "*" alone is for all.
//
// Lifetime, threading: a value. Errors: none.
#pragma once

#include <string>
#include <vector>

namespace trestle::router {

class Identities {
 public:
  explicit Identities(const std::vector<std::string>& patterns);
  // False for one that is empty: nobody is known.
  bool Have(const std::string& identity) const;

 private:
  std::vector<std::string> globs_;
};

}  // namespace trestle::router
