// Inet: host names as live addresses. A name is looked up again as long as somebody uses it;
// answers that fail or do not come change nothing but the cause that stands beside the last good
// ones.
//
// Lifetime: outlives the Vars it gives. What it does for a host and port ends when the last pointer
// to their Var goes. Threading: the control loop. Errors: in the Addr: kNeg if DNS says that there
// is no such name, kFailed if it never could say; kPending before the first answer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "base/clock.h"
#include "naming/inet.h"
#include "net/resolver.h"

namespace trestle::namers {

class Inet final : public naming::InetResolver {
 public:
  struct Options {
    base::Duration refresh = std::chrono::seconds(5);  // from an answer to the next question
    // How long the first answer is waited for before the Addr fails; a later one is still taken.
    base::Duration patience = std::chrono::seconds(5);
    size_t max_names = 8192;  // over it, further names fail at once
  };
  Inet(net::EventLoop* loop, net::Resolver* resolver, Options options);
  Inet(net::EventLoop* loop, net::Resolver* resolver) : Inet(loop, resolver, Options()) {}
  ~Inet() override;
  Inet(const Inet&) = delete;
  Inet& operator=(const Inet&) = delete;

  // One Var per host and port. Literal addresses (see LiteralIp) and "" are bound at once.
  std::shared_ptr<naming::Var<naming::Addr>> Resolve(const std::string& host,
                                                     uint16_t port) override;
  // Hosts and ports in use.
  size_t names() const { return names_->size(); }

 private:
  class Name;
  using Names = std::map<std::pair<std::string, uint16_t>, std::weak_ptr<Name>>;

  net::EventLoop* loop_;
  net::Resolver* resolver_;
  Options options_;
  std::shared_ptr<Names> names_;
};

}  // namespace trestle::namers
