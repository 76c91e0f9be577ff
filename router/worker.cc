#include "router/worker.h"

#include <pthread.h>
#include <unistd.h>

#include <csignal>
#include <string>
#include <utility>

#include "conf/options.h"
#include "net/connector.h"
#include "router/options.h"

namespace trestle::router {

Worker::Worker(const conf::Config& config, uint32_t index, uint32_t workers, Names* names,
               base::MetricsTable* table, const base::Clock* clock, uint64_t seed)
    : config_(config),
      index_(index),
      workers_(workers),
      names_(names),
      table_(table),
      random_(seed + index),
      loop_(clock) {}

Worker::~Worker() { Stop(); }

void Worker::MakeRouter(size_t r, const std::vector<net::Address>& addresses) {
  const conf::RouterConfig& config = config_.routers[r];
  base::Scope* scope = table_->root()->Labelled("rt", config.label.value);
  Served served;
  served.router = std::make_unique<Router>(
      &loop_, config, static_cast<uint32_t>(r), names_,
      [this, &config](const naming::Path& id, base::Scope* client_scope) {
        conf::ClientOptions options = conf::ResolveClient(config.client, id);
        return std::make_unique<backend::Client>(
            &loop_, id.Show(), ToBackendOptions(config_, config, options, index_, workers_),
            std::make_unique<net::TcpConnector>(&loop_, ToSocketOptions(options.socket_options)),
            &random_, client_scope);
      },
      &random_, scope);
  for (size_t s = 0; s < config.servers.size(); s++) {
    const net::Address& at = addresses[s];
    base::Scope* server_scope =
        scope->Labelled("server", at.Ip() + "/" + std::to_string(at.port()));
    served.servers.push_back(std::make_unique<server::Server>(
        &loop_, ToServerOptions(config_, config, config.servers[s], index_, workers_),
        served.router.get(), server_scope));
    served.servers.back()->on_closed = [this, r, s] {
      connections_.fetch_sub(1, std::memory_order_relaxed);
      if (on_closed) on_closed(r, s);
    };
  }
  served_.push_back(std::move(served));
}

void Worker::Start(const std::vector<std::vector<net::Address>>& addresses) {
  for (size_t r = 0; r < config_.routers.size(); r++) MakeRouter(r, addresses[r]);
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), ("worker-" + std::to_string(index_)).c_str());
    loop_.Run();
    over_ = true;
    // On this thread, since what it read into belongs to it.
    for (Served& s : served_) s.servers.clear();
    loop_.Poll();
    served_.clear();
    loop_.Poll();
  });
}

void Worker::Accept(size_t router, size_t server, int descriptor, const net::Address& peer) {
  connections_.fetch_add(1, std::memory_order_relaxed);
  loop_.Post([this, router, server, descriptor, peer] {
    if (over_) {  // it was handed over when the end had come
      close(descriptor);
      connections_.fetch_sub(1, std::memory_order_relaxed);
      return;
    }
    const conf::ServerConfig& config = config_.routers[router].servers[server];
    served_[router].servers[server]->Accept(std::make_unique<net::TcpTransport>(
        &loop_, descriptor, peer, ToSocketOptions(config.socket_options)));
  });
}

void Worker::Drain(std::function<void()> drained) {
  loop_.Post([this, drained = std::move(drained)] {
    auto left = std::make_shared<size_t>(1);
    auto one_less = [left, drained] {
      if (--*left == 0) drained();
    };
    for (Served& s : served_) {
      for (auto& server : s.servers) {
        ++*left;
        server->Drain(one_less);
      }
    }
    one_less();
  });
}

void Worker::Stop() {
  if (!thread_.joinable()) return;
  loop_.Stop();
  thread_.join();
}

}  // namespace trestle::router
