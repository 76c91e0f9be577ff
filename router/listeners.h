// Listeners: the listening sockets of all servers, and how many connections each server has. What a
// configuration needs is opened before anything is changed for it.
//
// Lifetime: the process's. Threading: the control loop. Errors: Prepare tells every socket that
// cannot be opened.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "conf/config.h"
#include "net/event_loop.h"
#include "net/listener.h"
#include "router/setup.h"

namespace trestle::router {

class Listeners {
 public:
  // A fresh connection of a server; its Admission has it.
  using Accepted = std::function<void(uint32_t server, int descriptor, const net::Address& peer)>;
  Listeners(net::EventLoop* loop, Accepted accepted)
      : loop_(loop), accepted_(std::move(accepted)) {}

  // The sockets that the routers of `setup` need. A server with the same ip and port keeps its
  // socket, and its id too where its router stays; with port 0 it is known by its label, or else by
  // its place in the router. Nothing is changed yet; what cannot be had is added to `errors`.
  struct Plan;
  std::shared_ptr<Plan> Prepare(const Setup& setup, std::vector<base::Status>* errors);
  // Goes over to the plan, and gives the routers of `setup` their servers. What is not in the plan
  // listens no more. Tells what changed: "opened 127.0.0.1:4115; closed 127.0.0.1:4114".
  std::string Apply(const Plan& plan, Setup* setup);
  // Accepts on all that do not yet.
  void Start();
  // A server that was full may have room.
  void OnRoom(uint32_t server);
  void Close();
  // In the order of the configuration.
  std::vector<net::Address> addresses() const;

 private:
  struct Port;
  void OnAccepted(Port* port, int descriptor, const net::Address& peer);
  std::shared_ptr<Port> Known(const conf::ServerConfig& config, uint32_t router, size_t place,
                              const Plan& plan) const;
  base::Result<std::shared_ptr<Port>> Open(const conf::ServerConfig& config);
  void Limit(Port* port);

  net::EventLoop* loop_;
  Accepted accepted_;
  std::vector<std::shared_ptr<Port>> ports_;  // in the order of the configuration
  uint32_t next_id_ = 1;
};

}  // namespace trestle::router
