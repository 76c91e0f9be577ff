#include "router/listeners.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>

#include "router/options.h"

namespace trestle::router {

// One listening socket.
struct Listeners::Port {
  uint32_t server = 0;  // its id; 0: not applied yet
  uint32_t router = 0;
  size_t place = 0;  // in the router
  conf::ServerConfig config;
  std::unique_ptr<net::Listener> listener;
  std::shared_ptr<Admission> admission;
  bool paused = false;
};

struct Listeners::Plan {
  struct Entry {
    std::shared_ptr<Port> port;
    size_t router = 0, place = 0;  // of the setup, of the router
  };
  std::vector<Entry> entries;
  bool Has(const Port* port) const {
    return std::any_of(entries.begin(), entries.end(),
                       [port](const Entry& e) { return e.port.get() == port; });
  }
};

std::shared_ptr<Listeners::Port> Listeners::Known(const conf::ServerConfig& config, uint32_t router,
                                                  size_t place, const Plan& plan) const {
  for (const auto& port : ports_) {
    const conf::ServerConfig& was = port->config;
    if (was.ip.value != config.ip.value || plan.Has(port.get())) continue;
    if (config.port.value != 0) {
      if (port->listener->address().port() == config.port.value) return port;
      continue;
    }
    if (was.port.value != 0 || port->router != router || was.label != config.label) continue;
    if (!config.label.empty() || port->place == place) return port;
  }
  return nullptr;
}

base::Result<std::shared_ptr<Listeners::Port>> Listeners::Open(const conf::ServerConfig& config) {
  auto address = net::Address::Parse(config.ip.value, config.port.value);
  if (!address.ok()) return address.status();
  auto port = std::make_shared<Port>();
  port->listener = std::make_unique<net::Listener>(
      loop_, [this, raw = port.get()](int descriptor, const net::Address& peer) {
        OnAccepted(raw, descriptor, peer);
      });
  base::Status status = port->listener->Listen(*address, ToSocketOptions(config.socket_options));
  if (!status.ok()) return status;
  return port;
}

std::shared_ptr<Listeners::Plan> Listeners::Prepare(const Setup& setup,
                                                    std::vector<base::Status>* errors) {
  auto plan = std::make_shared<Plan>();
  for (size_t r = 0; r < setup.routers.size(); r++) {
    const Setup::Router& router = setup.routers[r];
    for (size_t s = 0; s < router.config->servers.size(); s++) {
      const conf::ServerConfig& server = router.config->servers[s];
      std::shared_ptr<Port> port = Known(server, router.id, s, *plan);
      if (!port) {
        auto opened = Open(server);
        if (!opened.ok()) {
          errors->emplace_back(opened.status().code(), "router " + router.config->label.value +
                                                           ": " + opened.status().message());
          continue;
        }
        port = std::move(*opened);
      }
      plan->entries.push_back({std::move(port), r, s});
    }
  }
  return plan;
}

std::string Listeners::Apply(const Plan& plan, Setup* setup) {
  std::string told;
  auto tell = [&told](const char* what, const Port& port) {
    told += std::string(told.empty() ? "" : "; ") + what + " " + port.listener->address().Show();
  };
  for (const auto& port : ports_) {
    if (plan.Has(port.get())) continue;
    tell("closed", *port);
    port->listener->Close();
  }
  ports_.clear();
  for (const Plan::Entry& entry : plan.entries) {
    Port* port = entry.port.get();
    Setup::Router& router = setup->routers[entry.router];
    port->config = router.config->servers[entry.place];
    if (port->server == 0 || port->router != router.id) {
      tell(port->server == 0 ? "opened" : "moved to another router", *port);
      port->server = next_id_++;
      // Connections of before count no more: they are drained.
      port->admission = std::make_shared<Admission>(port->config.max_connections);
    }
    port->router = router.id;
    port->place = entry.place;
    Limit(port);
    router.servers.push_back({port->server, &router.config->servers[entry.place],
                              port->listener->address(), port->admission, nullptr});
    ports_.push_back(entry.port);
  }
  return told;
}

// maxConnections may be another one now.
void Listeners::Limit(Port* port) {
  port->admission->set_max(port->config.max_connections);
  if (port->admission->full() == port->paused) return;
  port->paused = !port->paused;
  port->paused ? port->listener->Pause() : port->listener->Resume();
}

void Listeners::Start() {
  for (const auto& port : ports_) port->listener->Start();
}

void Listeners::OnAccepted(Port* port, int descriptor, const net::Address& peer) {
  if (port->admission->Enter()) {
    port->paused = true;
    port->listener->Pause();
    LOG_EVERY_N(WARNING, 100) << port->listener->address().Show() << " has "
                              << port->admission->max()
                              << " connections (maxConnections): accepting no more for now";
  }
  accepted_(port->server, descriptor, peer);
}

void Listeners::OnRoom(uint32_t server) {
  for (const auto& port : ports_) {
    if (port->server == server) Limit(port.get());
  }
}

void Listeners::Close() {
  for (const auto& port : ports_) port->listener->Close();
}

std::vector<net::Address> Listeners::addresses() const {
  std::vector<net::Address> all;
  for (const auto& port : ports_) all.push_back(port->listener->address());
  return all;
}

}  // namespace trestle::router
