// ResolvedSet: endpoints as somebody wrote them, hosts by address or by name, as one live Addr of
// addresses. A host that does not resolve leaves out itself only; what was written about an
// endpoint (its weight) holds for each of its host's addresses.
//
// Lifetime: the callback may destroy it. Threading: the control loop. Errors: in the Addr.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "naming/addr.h"
#include "naming/inet.h"
#include "naming/var.h"

namespace trestle::naming {

class ResolvedSet {
 public:
  ResolvedSet(InetResolver* inet, std::function<void()> changed);
  ResolvedSet(const ResolvedSet&) = delete;
  ResolvedSet& operator=(const ResolvedSet&) = delete;

  // Replaces the endpoints; hosts that stay keep what is known of them. Does not call back.
  void Set(std::vector<Endpoint> endpoints);
  // kBound as soon as one host has an address (or nothing was written); else kPending while a first
  // answer is out, kFailed with a cause if a host failed, kNeg if every host is said not to exist.
  Addr Value() const;
  // With what each host was last: the addresses of those that resolve no more, too.
  std::vector<Endpoint> LastGood() const;
  // Hosts whose first answer is out.
  bool waiting() const;
  // Hosts that have no address now, by name, each with the reason.
  std::map<std::string, std::string> Unresolved() const;
  size_t unresolved() const;  // how many hosts

 private:
  struct Host {
    std::shared_ptr<Var<Addr>> addr;
    std::vector<Endpoint> last;  // of addr, when it was bound last
    Subscription changed;
  };
  using Key = std::pair<std::string, uint16_t>;

  void OnChange(const Key& key);
  static void Add(const Endpoint& written, const std::vector<Endpoint>& found,
                  std::vector<Endpoint>* all);

  InetResolver* inet_;
  std::function<void()> changed_;
  std::vector<Endpoint> literal_;
  std::vector<Endpoint> named_;
  std::map<Key, Host> hosts_;
};

}  // namespace trestle::naming
