// Binding: one name, bound, and what its answer hangs on, held and listened to; Destination: one
// concrete name that bindings lead to, with its address as it is now.
//
// Lifetime: a Binding is held by Names; a Destination by the bindings that lead to it. Threading:
// the control loop; nothing calls back from within what was called. Errors: in the snapshots.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "naming/bind.h"
#include "naming/dtab.h"
#include "naming/namer.h"
#include "naming/var.h"
#include "router/bound.h"

namespace trestle::router {

class Names;
class Binding;

// A worker's ear. Called on the control loop; it carries the news to its own loop.
class NameListener {
 public:
  virtual ~NameListener() = default;
  virtual void OnBound(uint64_t token, std::shared_ptr<const Bound> bound) = 0;
  // Once for each change, however many of its names lead to `id`.
  virtual void OnAddr(const std::string& id, std::shared_ptr<const naming::Addr> addr) = 0;
};

// The most destinations that a dtab of one request may lead one name to.
inline constexpr size_t kMaxLocalLeaves = 64;

class Destination {
 public:
  Destination(std::string shown, std::shared_ptr<naming::Var<naming::Addr>> addr);
  Destination(const Destination&) = delete;
  Destination& operator=(const Destination&) = delete;

  const std::string& shown() const { return shown_; }
  // One snapshot for all.
  const std::shared_ptr<const naming::Addr>& now() const { return now_; }
  void Add(Binding* user) { users_.insert(user); }
  void Remove(Binding* user) { users_.erase(users_.find(user)); }

 private:
  void OnChange();

  std::string shown_;
  std::shared_ptr<naming::Var<naming::Addr>> addr_;
  std::shared_ptr<const naming::Addr> now_;
  std::multiset<Binding*> users_;  // as often as they have leaves of it
  naming::Subscription changed_;
};

class Binding : public std::enable_shared_from_this<Binding> {
 public:
  // `local`: of the request; not empty: kMaxLocalLeaves holds.
  Binding(Names* names, naming::Path path, naming::Dtab local);
  ~Binding();

  // The base dtab from the next Bind on.
  void SetBase(const naming::Dtab& base) { dtab_ = base + local_; }
  void Bind();
  // Many changes of one turn are one new binding.
  void BindSoon();
  void Add(std::shared_ptr<NameListener> listener, uint64_t token);
  void Remove(NameListener* listener, uint64_t token);
  bool unused() const { return listeners_.empty(); }

  // The address changed; `told` gets those who should hear of it.
  void OnAddr(const Destination& of, std::set<NameListener*>* told);

 private:
  // What it was bound with lives on for as long as something bound hangs on it.
  using Namers = std::shared_ptr<const naming::NamerSet>;
  class Leaf;

  void Follow(std::vector<std::shared_ptr<naming::Source>> sources, const Namers& namers);
  void SetTree(const naming::BoundTree& tree, const naming::BindTrace& trace);
  int AddLeaf(const naming::BoundName& name, Bound* bound,
              std::vector<std::unique_ptr<Leaf>>* leaves);
  std::shared_ptr<const naming::Addr> LastGood(const Destination& of) const;
  void Refuse(base::Code code, std::string why);
  void Refresh();
  void Tell(std::shared_ptr<const Bound> bound);

  Names* names_;
  naming::Path path_;
  naming::Dtab local_, dtab_;
  bool dirty_ = false;
  Namers sources_of_, leaves_of_;  // before what hangs on them
  std::vector<std::shared_ptr<naming::Source>> sources_;
  std::vector<naming::Subscription> subscriptions_;
  std::vector<std::unique_ptr<Leaf>> leaves_;
  std::shared_ptr<const Bound> bound_;  // its leaves are as leaves_
  bool stale_ = false;                  // an address changed since bound_ was made
  std::vector<std::pair<std::shared_ptr<NameListener>, uint64_t>> listeners_;
};

}  // namespace trestle::router
