// Announcers: what the servers of all routers are announced as, in the ZooKeepers that the
// configuration names: one session for each router, prefix and cluster of which something is
// announced.
//
// Lifetime: the process's. Threading: the control loop. Errors: in the log.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "conf/config.h"
#include "net/address.h"
#include "net/event_loop.h"
#include "router/setup.h"
#include "serversets/zk_client.h"

namespace trestle::router {

class Announcers {
 public:
  // How a cluster is spoken to.
  using Connect = std::function<serversets::ZkConnect(const serversets::ZkCluster&)>;
  static Connect RealZooKeeper(net::EventLoop* loop);

  Announcers(net::EventLoop* loop, base::Scope* scope, Connect connect);
  ~Announcers();

  // From now on what `setup` says is announced: what is already there stays as it is, what is not
  // in it any more is taken away. `admin`: where the admin server listens. Not after Leave.
  void Apply(const Setup& setup, const net::Address& admin);
  // Takes all away and ends the sessions. `done`: it is so, or `patience` is over. Where members
  // were taken away, `heard` has passed since then: those who follow the sets know by now.
  void Leave(base::Duration patience, base::Duration heard, std::function<void()> done);

 private:
  struct Place;  // where a session is for
  struct Wanted;
  class Announcer;

  static std::vector<Wanted> WantedBy(const Setup& setup, const net::Address& admin);
  void OnLeft();
  void End();

  net::EventLoop* loop_;
  base::Scope* scope_;
  const Connect connect_;
  std::vector<std::unique_ptr<Announcer>> announcers_;
  size_t leaving_ = 0;      // members whose end is waited for
  base::Duration heard_{};  // zero: nobody has anything to hear
  std::function<void()> done_;
  net::Timer patience_, pause_;
};

}  // namespace trestle::router
