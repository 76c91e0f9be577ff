// The namers and the resolver that the vectors of names stand on, in memory.
//
// Lifetime: NamersOfVector owns its namers. Threading: none. Errors: a vector that cannot be read
// throws std::runtime_error, which the runner turns into a failed vector.
#pragma once

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "naming/delegate.h"
#include "naming/inet.h"
#include "naming/namer.h"
#include "naming/system_namer.h"

namespace trestle::tests {

using VectorJson = nlohmann::ordered_json;

// An IP literal in one spelling ("0:0:0:0:0:0:0:1" -> "::1", "80" -> "0.0.0.80"); "" for what is
// none.
std::string CanonicalIp(const std::string& host);

// Knows literals, "localhost" and this host; everything else does not exist.
class LiteralResolver : public naming::InetResolver {
 public:
  std::shared_ptr<naming::Var<naming::Addr>> Resolve(const std::string& host,
                                                     uint16_t port) override;

 private:
  std::map<std::string, std::shared_ptr<naming::Var<naming::Addr>>> known_;
};

// {"type":"bound","addrs":[…]} as an Addr.
naming::Addr AddrOfJson(const VectorJson& json);

// The `namers` of a vector, with the system namer behind them.
class NamersOfVector {
 public:
  explicit NamersOfVector(const VectorJson& namers);
  const naming::NamerSet& set() const { return set_; }

 private:
  LiteralResolver resolver_;
  naming::SystemNamer system_{&resolver_};
  std::vector<std::unique_ptr<naming::Namer>> owned_;
  naming::NamerSet set_;
};

// The `transformers` of a vector.
std::vector<naming::Transformer> TransformersOfVector(const VectorJson& transformers);

}  // namespace trestle::tests
