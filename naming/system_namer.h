// SystemNamer: answers "/$/…": inet, fixedinet, nil, fail, and Linkerd's utility namers.
//
// Lifetime: as Namer; the resolver outlives it. Threading: the control loop. Errors: in the Lookup:
// an unknown name is failed with kind "unknown_namer", never Neg.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "naming/inet.h"
#include "naming/namer.h"

namespace trestle::naming {

class SystemNamer : public Namer {
 public:
  explicit SystemNamer(InetResolver* resolver) : resolver_(resolver) {}
  Lookup Find(const Path& prefix, const Path& rest, Dependencies* deps) override;
  // How many addresses of its own it remembers, dead ones too.
  size_t held() const { return fixed_.size() + refused_.size(); }

 private:
  using Key = std::pair<std::string, std::string>;

  // nullopt: no host and port stand there.
  std::optional<Lookup> FindInet(const Path& prefix, const Path& rest);
  Lookup FindReverseInet(const Path& prefix, const Path& rest);
  std::shared_ptr<Var<Addr>> AddressOf(const std::string& host, const std::string& port);
  std::shared_ptr<Var<Addr>> FixedAddressOf(const std::string& host, const std::string& port);

  InetResolver* resolver_;
  // The "fixedinet" addresses in use and the refused ports, so that binding again gives the same.
  std::map<Key, std::weak_ptr<Var<Addr>>> fixed_;
  std::map<Key, std::weak_ptr<Var<Addr>>> refused_;
};

}  // namespace trestle::naming
