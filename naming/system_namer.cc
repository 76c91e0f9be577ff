#include "naming/system_namer.h"

#include "naming/text.h"
#include "naming/utility_namers.h"

namespace trestle::naming {
namespace {

constexpr size_t kSweepAt = 256;

// The Var of `key` while somebody holds it, else null; forgets the dead ones now and then.
template <class Map>
std::shared_ptr<Var<Addr>> Held(Map* map, const typename Map::key_type& key) {
  if (map->size() >= kSweepAt) {
    std::erase_if(*map, [](const auto& entry) { return entry.second.expired(); });
  }
  const auto found = map->find(key);
  return found == map->end() ? nullptr : found->second.lock();
}

// Takes the first answer of another address, then lets go of it.
class FixedAddr : public Var<Addr> {
 public:
  explicit FixedAddr(std::shared_ptr<Var<Addr>> from) : from_(std::move(from)) {
    subscription_ = from_->Subscribe([this] { Take(); });
    Take();
  }

 private:
  void Take() {
    if (from_ == nullptr || from_->Get().kind == Addr::Kind::kPending) return;
    Addr addr = from_->Get();
    // The first holder of `from_` may be this: it must outlive the notification it is in.
    const std::shared_ptr<Var<Addr>> last = std::move(from_);
    from_ = nullptr;
    subscription_ = Subscription();
    Set(std::move(addr));
  }

  std::shared_ptr<Var<Addr>> from_;
  Subscription subscription_;
};

}  // namespace

Lookup SystemNamer::Find(const Path& prefix, const Path& rest, Dependencies* /*deps*/) {
  if (rest.empty()) return Lookup::Neg();
  const std::string& name = rest[0];
  if (name == "fail") return Lookup::Ok(NameTree<Name>::Fail());
  if (name == "nil") return Lookup::Ok(NameTree<Name>::Empty());
  if (name == "inet" || name == "fixedinet") {
    if (std::optional<Lookup> found = FindInet(prefix, rest)) return std::move(*found);
  }
  if (name == "io.buoyant.rinet") return FindReverseInet(prefix, rest);
  if (std::optional<Lookup> found = AskUtilityNamer(name, rest.Drop(1))) return std::move(*found);
  return Lookup::Failed("Unknown namer: " + name + " for path: " + (prefix + rest).Show(),
                        "unknown_namer");
}

std::optional<Lookup> SystemNamer::FindInet(const Path& prefix, const Path& rest) {
  size_t taken = 0;
  std::string host;
  if (rest.size() >= 3 && ParseInt32(rest[2])) {
    host = rest[1];
    taken = 3;
  } else if (rest.size() >= 2 && ParseInt32(rest[1])) {
    taken = 2;
  } else {
    return std::nullopt;
  }
  const std::string& port = rest[taken - 1];
  return Lookup::Bound({prefix + rest.Take(taken), rest.Drop(taken),
                        rest[0] == "inet" ? AddressOf(host, port) : FixedAddressOf(host, port)});
}

Lookup SystemNamer::FindReverseInet(const Path& prefix, const Path& rest) {
  if (rest.size() < 3) return Lookup::Neg();
  return Lookup::Bound({prefix + rest.Take(3), rest.Drop(3), AddressOf(rest[2], rest[1])});
}

std::shared_ptr<Var<Addr>> SystemNamer::AddressOf(const std::string& host,
                                                  const std::string& port) {
  const std::optional<int32_t> number = ParseInt32(port);
  if (number && *number >= 0 && *number <= 65535) {
    return resolver_->Resolve(host, static_cast<uint16_t>(*number));
  }
  if (auto held = Held(&refused_, {host, port})) return held;
  auto refused = std::make_shared<Var<Addr>>(
      Addr::Failed(number ? "port out of range:" + std::to_string(*number)
                          : "For input string: \"" + port + "\""));
  refused_[{host, port}] = refused;
  return refused;
}

std::shared_ptr<Var<Addr>> SystemNamer::FixedAddressOf(const std::string& host,
                                                       const std::string& port) {
  if (auto held = Held(&fixed_, {host, port})) return held;
  auto fixed = std::make_shared<FixedAddr>(AddressOf(host, port));
  fixed_[{host, port}] = fixed;
  return fixed;
}

}  // namespace trestle::naming
