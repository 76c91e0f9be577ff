// Names: all names in use, kept bound: one live binding for each (router, path, local dtab), shared
// by the workers. A change of what it hangs on binds it again; workers get snapshots.
//
// A binding that was good stays so when a namer is pending or fails later; only a namer that says
// Neg takes it away.
//
// Lifetime: the process's; destroyed after the workers have stopped. Threading: everything on the
// control loop, but Acquire and Release, which any thread may call. Errors: in the snapshots.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "naming/bind.h"
#include "naming/dtab.h"
#include "naming/namer.h"
#include "net/event_loop.h"
#include "router/bound.h"

namespace trestle::router {

// A worker's ear. Called on the control loop; it carries the news to its own loop.
class NameListener {
 public:
  virtual ~NameListener() = default;
  virtual void OnBound(uint64_t token, std::shared_ptr<const Bound> bound) = 0;
  virtual void OnAddr(uint64_t token, const std::string& id,
                      std::shared_ptr<const naming::Addr> addr) = 0;
};

// The most destinations that a dtab of one request may lead one name to.
inline constexpr size_t kMaxLocalLeaves = 64;

struct NameKey {
  uint32_t router = 0;     // index of the base dtab
  std::string path;        // shown
  std::string local_dtab;  // as the client wrote it; empty: none
  auto operator<=>(const NameKey&) const = default;
};

class Names {
 public:
  Names(net::EventLoop* loop, const naming::NamerSet* namers, std::vector<naming::Dtab> base_dtabs,
        base::Scope* scope);
  ~Names();

  // Keeps the name bound and tells `listener` (with its own `token`) what it leads to, now and
  // after every change, until Release.
  void Acquire(NameKey key, naming::Path path, naming::Dtab local, NameListener* listener,
               uint64_t token);
  void Release(NameKey key, NameListener* listener, uint64_t token);

  const naming::NamerSet& namers() const { return *namers_; }
  const naming::Dtab& base_dtab(uint32_t router) const { return base_dtabs_[router]; }
  size_t size() const { return bindings_.size(); }

 private:
  class Binding;
  friend class Binding;

  net::EventLoop* loop_;
  const naming::NamerSet* namers_;
  std::vector<naming::Dtab> base_dtabs_;
  base::Gauge* count_;
  base::Counter* rebinds_;
  std::map<NameKey, std::shared_ptr<Binding>> bindings_;
};

}  // namespace trestle::router
