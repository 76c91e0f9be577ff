#include "router/worker.h"

#include <malloc.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "net/connector.h"
#include "router/options.h"
#include "tls/tls_connector.h"

namespace trestle::router {
namespace {

constexpr auto kTidyEvery = std::chrono::seconds(10);
constexpr uint32_t kManyConnections = 64;
constexpr size_t kManyBytes = 1 << 20;

}  // namespace

Worker::Worker(Share share, Names* names, base::MetricsTable* table, const base::Clock* clock,
               uint64_t seed)
    : share_(share),
      names_(names),
      table_(table),
      random_(seed + share.index),
      loop_(clock),
      tidy_(&loop_, [this] { Tidy(); }) {}

Worker::~Worker() { Stop(); }

void Worker::TakeOver(const Setup& setup) {
  loop_.AssertInLoop();
  tls_ = setup.tls;
  std::set<uint32_t> wanted;
  wanted_.clear();
  for (const Setup::Router& router : setup.routers) {
    wanted_.insert(router.id);
    MakeRouter(setup, router);
    for (const Setup::Server& server : router.servers) {
      wanted.insert(server.id);
      MakeServer(setup, router, server);
    }
  }
  std::vector<uint32_t> left;
  for (const auto& [id, served] : servers_) {
    if (!wanted.contains(id)) left.push_back(id);
  }
  for (uint32_t id : left) Retire(id);
  DropRouters();
}

void Worker::MakeRouter(const Setup& setup, const Setup::Router& router) {
  const RouterPart part{setup.config, router.config, setup.tls};
  std::unique_ptr<Router>& known = routers_[router.id];
  if (known) return known->Reconfigure(part);
  known = std::make_unique<Router>(
      &loop_, part, router.id, names_, share_,
      [this](const conf::ClientOptions& options) { return MakeConnector(options); }, &random_,
      table_->root()->Labelled("rt", router.config->label.value));
}

std::unique_ptr<net::Connector> Worker::MakeConnector(const conf::ClientOptions& options) {
  auto tcp = std::make_unique<net::TcpConnector>(&loop_, ToSocketOptions(options.socket_options));
  if (!options.tls) return tcp;
  using When = tls::TlsConnector::When;
  const bool at_once = options.tls->opportunistic == conf::OpportunisticTls::kOff;
  return std::make_unique<tls::TlsConnector>(&loop_, std::move(tcp), tls_->Of(*options.tls),
                                             share_.sessions,
                                             at_once ? When::kAtOnce : When::kAgreed);
}

// Those that shake hands go on with their certificate; whether they are allowed is asked at the
// end.
void Worker::SetTls(const Setup::Server& server, base::Scope* scope, Served* served) {
  if (!server.tls) {
    if (served->tls) served->tls->GiveUp();
    served->tls_at_once = false;
    served->server->secure = nullptr;
    return served->tls.reset();
  }
  if (!served->tls) {
    server::Server* to = served->server.get();
    served->tls = std::make_unique<Handshakes>(
        &loop_, scope->Child("tls"),
        [to](std::unique_ptr<net::Transport> transport, base::Buffer unread) {
          if (!transport) return to->on_closed();
          to->Accept(std::move(transport), std::move(unread));
        });
    to->secure = [tls = served->tls.get()](std::unique_ptr<net::Transport> transport,
                                           base::Buffer unread, server::Server::Secured secured) {
      tls->Secure(std::move(transport), std::move(unread), std::move(secured));
    };
  }
  const conf::ServerTlsConfig& says = *server.config->tls;
  const bool later = says.opportunistic != conf::OpportunisticTls::kOff;
  served->tls_at_once = !later || says.optional;
  std::optional<Identities> allow;
  if (server.config->allow) allow.emplace(*server.config->allow);
  served->tls->Set({server.tls, says.optional, says.handshake_timeout,
                    ShareOf(says.max_handshakes, share_.index, share_.workers), std::move(allow),
                    later});
}

void Worker::MakeServer(const Setup& setup, const Setup::Router& router,
                        const Setup::Server& server) {
  Served& served = servers_[server.id];
  server::Options options =
      ToServerOptions(*setup.config, *router.config, *server.config, share_.index, share_.workers);
  served.sockets = ToSocketOptions(server.config->socket_options);
  base::Scope* scope =
      table_->root()
          ->Labelled("rt", router.config->label.value)
          ->Labelled("server", server.address.Ip() + "/" + std::to_string(server.address.port()));
  if (served.server) {
    SetTls(server, scope, &served);
    if (options == served.server->options()) return;
    return served.server->Reconfigure(std::move(options));
  }
  served.router = router.id;
  served.admission = server.admission;
  served.server = std::make_unique<server::Server>(&loop_, std::move(options),
                                                   routers_.at(router.id).get(), scope);
  served.server->on_closed = [this, id = server.id, admission = server.admission] {
    connections_.fetch_sub(1, std::memory_order_relaxed);
    if (admission->Leave() && on_room) on_room(id);
  };
  SetTls(server, scope, &served);
}

void Worker::Retire(uint32_t server) {
  auto node = servers_.extract(server);
  server::Server* leaving = node.mapped().server.get();
  if (node.mapped().tls) node.mapped().tls->GiveUp();
  leaving_.insert(std::move(node));
  leaving->Drain([this, server] { OnRetired(server); });
}

// Perhaps from within the server's own callback.
void Worker::OnRetired(uint32_t server) {
  if (over_) return;
  auto node = leaving_.extract(server);
  if (node.empty()) return;
  // It may be in an event of theirs; the handshakes first, since they tell the server.
  loop_.DeleteLater(std::move(node.mapped().tls));
  loop_.DeleteLater(std::move(node.mapped().server));
  DropRouters();
  if (leaving_.empty() && servers_.empty() && drained_) std::exchange(drained_, nullptr)();
}

// Those that left the setup and have no server any more; so they have no call either.
void Worker::DropRouters() {
  std::set<uint32_t> needed = wanted_;
  for (const auto& [id, served] : servers_) needed.insert(served.router);
  for (const auto& [id, served] : leaving_) needed.insert(served.router);
  for (auto it = routers_.begin(); it != routers_.end();) {
    if (needed.contains(it->first)) {
      ++it;
      continue;
    }
    // Not before its last server: both wait for the end of the turn, in this order.
    loop_.DeleteLater(std::move(it->second));
    loop_.Post([this, id = it->first] {
      if (on_router_gone) on_router_gone(id);
    });
    it = routers_.erase(it);
  }
}

void Worker::Start(const Setup& setup) {
  TakeOver(setup);
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), ("worker-" + std::to_string(share_.index)).c_str());
    tidy_.Arm(kTidyEvery);
    loop_.Run();
    tidy_.Cancel();
    over_ = true;
    // On this thread, since what it read into belongs to it.
    servers_.clear();
    leaving_.clear();
    loop_.Poll();
    routers_.clear();
    loop_.Poll();
  });
}

void Worker::Tidy() {
  for (const auto& [id, served] : servers_) served.server->Tidy();
  const size_t freed = base::Block::FreeSpare();
  const uint32_t now = connections();
  const bool fewer = now + kManyConnections <= most_connections_;
  most_connections_ = now;
  // Looking through the heap takes a while, so only where there is something to find.
  if (freed >= kManyBytes || fewer) malloc_trim(0);
  tidy_.Arm(kTidyEvery);
}

void Worker::Apply(std::shared_ptr<const Setup> setup) {
  loop_.Post([this, setup = std::move(setup)] {
    if (!over_) TakeOver(*setup);
  });
}

void Worker::Accept(uint32_t server, int descriptor, const net::Address& peer) {
  connections_.fetch_add(1, std::memory_order_relaxed);
  loop_.Post([this, server, descriptor, peer] {
    auto served = servers_.find(server);
    if (served == servers_.end()) {  // it was handed over when the end had come
      close(descriptor);
      connections_.fetch_sub(1, std::memory_order_relaxed);
      return;
    }
    most_connections_ = std::max(most_connections_, connections());
    auto transport =
        std::make_unique<net::TcpTransport>(&loop_, descriptor, peer, served->second.sockets);
    if (served->second.tls_at_once) return served->second.tls->Begin(std::move(transport));
    served->second.server->Accept(std::move(transport));
  });
}

void Worker::Drain(std::function<void()> drained) {
  loop_.Post([this, drained = std::move(drained)]() mutable {
    std::vector<uint32_t> all;
    for (const auto& [id, served] : servers_) all.push_back(id);
    drained_ = std::move(drained);
    for (uint32_t id : all) Retire(id);
    if (leaving_.empty() && drained_) std::exchange(drained_, nullptr)();
  });
}

void Worker::Stop() {
  if (!thread_.joinable()) return;
  loop_.Stop();
  thread_.join();
}

}  // namespace trestle::router
