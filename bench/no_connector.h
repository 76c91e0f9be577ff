// NoConnector: opens nothing: its attempts never end. For what chooses among endpoints and never
// gets to one.
//
// Lifetime: of its user. Threading: one loop. Errors: none.
#pragma once

#include <memory>

#include "net/connector.h"

namespace trestle::bench {

class NoConnector final : public net::Connector {
 public:
  std::unique_ptr<Attempt> Connect(const net::Address&, base::Duration, Done) override {
    return std::make_unique<Attempt>();
  }
};

}  // namespace trestle::bench
