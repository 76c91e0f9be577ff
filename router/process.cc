#include "router/process.h"

#include <glog/logging.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "router/derivation.h"
#include "router/options.h"

namespace trestle::router {
namespace {

std::vector<naming::Dtab> BaseDtabs(const conf::Config& config) {
  std::vector<naming::Dtab> dtabs;
  for (const conf::RouterConfig& r : config.routers) dtabs.push_back(r.dtab.value);
  return dtabs;
}

}  // namespace

Process::Process(net::EventLoop* loop, const conf::Config& config, const naming::NamerSet* namers,
                 std::string version)
    : loop_(loop),
      config_(config),
      version_(std::move(version)),
      names_(loop, namers, BaseDtabs(config), metrics_.NewTable()->root()->Child("names")),
      grace_(loop, [this] {
        LOG(WARNING) << "the grace is over: cutting " << connections() << " connections";
        loop_->Stop();
      }) {}

Process::~Process() {
  // The workers look at served_ for as long as connections of theirs end.
  for (auto& worker : workers_) worker->Stop();
  workers_.clear();
}

base::Status Process::Start() {
  if (base::Status s = Listen(); !s.ok()) return s;
  if (base::Status s = StartAdmin(); !s.ok()) return s;
  StartWorkers();
  for (auto& served : served_) served->listener->Start();
  LOG(INFO) << ReadyLine();
  return base::Status::Ok();
}

base::Status Process::Listen() {
  for (size_t r = 0; r < config_.routers.size(); r++) {
    const conf::RouterConfig& router = config_.routers[r];
    for (size_t s = 0; s < router.servers.size(); s++) {
      const conf::ServerConfig& server = router.servers[s];
      auto address = net::Address::Parse(server.ip.value, server.port.value);
      if (!address.ok()) return address.status();
      auto served = std::make_unique<Served>();
      served->router = r;
      served->server = s;
      served->max_connections = server.max_connections;
      Served* raw = served.get();
      served->listener = std::make_unique<net::Listener>(
          loop_, [this, raw](int descriptor, const net::Address& peer) {
            OnAccepted(raw, descriptor, peer);
          });
      base::Status status =
          served->listener->Listen(*address, ToSocketOptions(server.socket_options));
      if (!status.ok()) {
        return {status.code(), "router " + router.label.value + ": " + status.message()};
      }
      served_.push_back(std::move(served));
    }
  }
  return base::Status::Ok();
}

base::Status Process::StartAdmin() {
  admin::AdminOptions options;
  options.version = version_;
  options.prometheus.clear();
  for (const auto& page : config_.prometheus) {
    options.prometheus.push_back({page.path.value, page.prefix});
  }
  admin::AdminSources sources;
  sources.metrics = &metrics_;
  sources.ready = [this] { return !draining_; };
  sources.delegate = [this](const admin::DelegateRequest& request, admin::DelegateAnswer answer) {
    naming::Dtab base = config_.routers[0].dtab.value;
    if (request.router) {
      auto same = [&request](const conf::RouterConfig& r) {
        return r.label.value == *request.router;
      };
      auto it = std::find_if(config_.routers.begin(), config_.routers.end(), same);
      if (it == config_.routers.end()) return answer(admin::UnknownRouter(*request.router));
      base = it->dtab.value;
    }
    AnswerDelegate(loop_, &names_.namers(), base + request.dtab, request.path, std::move(answer));
  };
  sources.shutdown = [this] { loop_->Post([this] { Drain(); }); };
  admin_ = std::make_unique<admin::AdminServer>(loop_, std::move(options), std::move(sources));
  base::Status status = admin_->Listen(config_.admin.ip.value, config_.admin.port.value);
  if (status.ok()) return status;
  return {status.code(), "admin: " + status.message()};
}

void Process::StartWorkers() {
  uint32_t count = config_.workers.value_or(std::max(1u, std::thread::hardware_concurrency()));
  std::vector<std::vector<net::Address>> addresses(config_.routers.size());
  for (auto& served : served_) addresses[served->router].push_back(served->listener->address());
  auto seed = static_cast<uint64_t>(loop_->clock()->Wall().time_since_epoch().count());
  for (uint32_t i = 0; i < count; i++) {
    workers_.push_back(std::make_unique<Worker>(config_, i, count, &names_, metrics_.NewTable(),
                                                loop_->clock(), seed));
    workers_.back()->on_closed = [this](size_t router, size_t server) {
      OnClosed(Find(router, server));
    };
    workers_.back()->Start(addresses);
  }
}

Process::Served* Process::Find(size_t router, size_t server) {
  for (auto& served : served_) {
    if (served->router == router && served->server == server) return served.get();
  }
  return nullptr;
}

// To the worker that has the fewest, so that they stay even.
void Process::OnAccepted(Served* served, int descriptor, const net::Address& peer) {
  if (served->open.fetch_add(1) + 1 >= served->max_connections) {
    served->paused = true;
    served->listener->Pause();
    LOG_EVERY_N(WARNING, 100) << served->listener->address().Show() << " has "
                              << served->max_connections
                              << " connections (maxConnections): accepting no more for now";
  }
  auto fewest = std::min_element(
      workers_.begin(), workers_.end(),
      [](const auto& a, const auto& b) { return a->connections() < b->connections(); });
  (*fewest)->Accept(served->router, served->server, descriptor, peer);
}

// On a worker's loop.
void Process::OnClosed(Served* served) {
  if (!served || served->open.fetch_sub(1) < served->max_connections) return;
  loop_->Post([this, served] {
    if (draining_ || !served->paused || served->open.load() >= served->max_connections) return;
    served->paused = false;
    served->listener->Resume();
  });
}

std::string Process::ReadyLine() const {
  std::string line = "trestle " + version_ + " is ready:";
  for (const auto& served : served_) {
    const conf::RouterConfig& router = config_.routers[served->router];
    const std::string& label = router.servers[served->server].label;
    line += " " + router.label.value + (label.empty() ? "" : " (" + label + ")") + " on " +
            served->listener->address().Show() + ",";
  }
  return line + " admin on " + admin_->address().Show() + ", " + std::to_string(workers_.size()) +
         (workers_.size() == 1 ? " worker" : " workers");
}

void Process::Drain() {
  if (draining_) return loop_->Stop();
  draining_ = true;
  LOG(INFO) << "draining: calls in flight have " << config_.admin.shutdown_grace.count() << " ms";
  for (auto& served : served_) served->listener->Close();
  undrained_ = workers_.size();
  grace_.Arm(config_.admin.shutdown_grace);
  for (auto& worker : workers_) {
    worker->Drain([this] {
      loop_->Post([this] {
        if (--undrained_ == 0) loop_->Stop();
      });
    });
  }
}

std::vector<net::Address> Process::addresses() const {
  std::vector<net::Address> all;
  for (const auto& served : served_) all.push_back(served->listener->address());
  return all;
}

uint32_t Process::connections() const {
  uint32_t sum = 0;
  for (const auto& worker : workers_) sum += worker->connections();
  return sum;
}

}  // namespace trestle::router
