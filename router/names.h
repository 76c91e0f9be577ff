// Names: all names in use, kept bound: one live Binding for each (router, path, local dtab), shared
// by the workers. A change of what it hangs on, or of the configuration, binds it again; workers
// get snapshots.
//
// A binding that was good stays so when a namer is pending or fails later; only a namer that says
// Neg takes it away.
//
// Lifetime: the process's; destroyed after the workers have stopped. Threading: everything on the
// control loop, but Acquire and Release, which any thread may call. Errors: in the snapshots.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "base/metrics.h"
#include "naming/dtab.h"
#include "naming/namer.h"
#include "net/event_loop.h"
#include "router/binding.h"

namespace trestle::router {

struct NameKey {
  uint32_t router = 0;     // whose base dtab; see Setup
  std::string path;        // shown
  std::string local_dtab;  // as the client wrote it; empty: none
  auto operator<=>(const NameKey&) const = default;
};

class Names {
 public:
  using BaseDtabs = std::map<uint32_t, naming::Dtab>;  // by router

  Names(net::EventLoop* loop, std::shared_ptr<const naming::NamerSet> namers, BaseDtabs dtabs,
        base::Scope* scope);
  ~Names();

  // Keeps the name bound and tells `listener` (with its own `token`) what it leads to, now and
  // after every change, until Release.
  void Acquire(NameKey key, naming::Path path, naming::Dtab local,
               std::shared_ptr<NameListener> listener, uint64_t token);
  void Release(NameKey key, std::shared_ptr<NameListener> listener, uint64_t token);

  // Binds again, in place, what other namers or another base dtab may lead elsewhere. A router that
  // is not among `dtabs` keeps its own until Forget. The old namers live until nothing that is
  // bound hangs on them.
  void Reconfigure(std::shared_ptr<const naming::NamerSet> namers, const BaseDtabs& dtabs);
  // The router is gone, on every worker.
  void Forget(uint32_t router);

  const std::shared_ptr<const naming::NamerSet>& namers() const { return namers_; }
  size_t size() const { return bindings_.size(); }

  // --- for its bindings ---
  net::EventLoop* loop() const { return loop_; }
  base::Counter* rebinds() const { return rebinds_; }
  // The one Destination of an address and its id.
  std::shared_ptr<Destination> Find(const naming::BoundName& name);

 private:
  using DestinationKey = std::pair<const naming::Source*, std::string>;
  using Destinations = std::map<DestinationKey, std::weak_ptr<Destination>>;

  net::EventLoop* loop_;
  std::shared_ptr<const naming::NamerSet> namers_;
  BaseDtabs base_dtabs_;
  base::Gauge* count_;
  base::Counter* rebinds_;
  std::shared_ptr<Destinations> destinations_ = std::make_shared<Destinations>();
  std::map<NameKey, std::shared_ptr<Binding>> bindings_;
};

}  // namespace trestle::router
