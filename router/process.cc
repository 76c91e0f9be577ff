#include "router/process.h"

#include <glog/logging.h>

#include <algorithm>
#include <thread>
#include <utility>

namespace trestle::router {
namespace {

// For ZooKeeper to say that what was announced is gone.
constexpr base::Duration kLeavePatience = std::chrono::seconds(1);
// For those who follow a set to hear that we are gone from it.
constexpr base::Duration kHeard = std::chrono::milliseconds(300);

Names::BaseDtabs BaseDtabs(const Setup& setup) {
  Names::BaseDtabs dtabs;
  for (const Setup::Router& r : setup.routers) dtabs[r.id] = r.config->dtab.value;
  return dtabs;
}

}  // namespace

Process::Process(net::EventLoop* loop, base::Metrics* metrics, Config config, Namers namers,
                 Tls tls, std::string version)
    : loop_(loop),
      config_(config),
      started_(std::move(config)),
      version_(std::move(version)),
      metrics_(metrics),
      table_(metrics->NewTable()),
      reloads_(table_->root()->Child("config")->counter("reloads")),
      failed_reloads_(table_->root()->Child("config")->counter("failed_reloads")),
      last_reload_ok_(table_->root()->Child("config")->gauge("last_reload_ok")),
      setup_(MakeSetup(config_)),
      tls_(std::move(tls)),
      tls_reloads_(table_->root()->Child("tls")->counter("reloads")),
      failed_tls_reloads_(table_->root()->Child("tls")->counter("failed_reloads")),
      last_tls_ok_(table_->root()->Child("tls")->gauge("last_reload_ok")),
      tls_watch_(loop, table_->root()->Child("tls"), [this] { OnTlsFiles(); }),
      names_(loop, std::move(namers), BaseDtabs(setup_), table_->root()->Child("names")),
      derivations_(loop),
      listeners_(loop, [this](uint32_t server, int descriptor,
                              const net::Address& peer) { OnAccepted(server, descriptor, peer); }),
      announcers_(loop, table_->root(), Announcers::RealZooKeeper(loop)),
      grace_(loop, [this] {
        LOG(WARNING) << "the grace is over: cutting " << connections() << " connections";
        loop_->Stop();
      }) {
  last_reload_ok_->Set(1);
  last_tls_ok_->Set(1);
}

Process::~Process() {
  for (auto& worker : workers_) worker->Stop();
  workers_.clear();
}

// The routers of `config` without their servers. A label that is known keeps its id.
Setup Process::MakeSetup(const Config& config) {
  Setup setup;
  setup.config = config;
  for (const conf::RouterConfig& r : config->routers) {
    auto known = routers_.find(r.label.value);
    setup.routers.push_back({known == routers_.end() ? next_router_++ : known->second, &r, {}});
  }
  return setup;
}

std::vector<base::Status> Process::Start() {
  std::vector<base::Status> errors;
  auto plan = listeners_.Prepare(setup_, &errors);
  if (base::Status s = StartAdmin(); !s.ok()) errors.push_back(std::move(s));
  if (!errors.empty()) return errors;
  for (const Setup::Router& r : setup_.routers) routers_[r.config->label.value] = r.id;
  listeners_.Apply(*plan, &setup_);
  SetTls(tls_.contexts, &setup_);
  if (setup_.tls) tls_watch_.Watch(setup_.tls);
  StartWorkers();
  listeners_.Start();
  LOG(INFO) << ReadyLine();
  announcers_.Apply(setup_, admin_->address());
  return {};
}

std::vector<base::Status> Process::Reload(Config config, Namers namers,
                                          std::shared_ptr<const TlsContexts> tls) {
  loop_->AssertInLoop();
  std::vector<base::Status> errors;
  Setup setup = MakeSetup(config);
  auto plan = listeners_.Prepare(setup, &errors);
  if (!errors.empty()) return errors;
  // From here on nothing can fail.
  WarnOfRestart(*config);
  const std::map<std::string, uint32_t> before = std::exchange(routers_, {});
  for (const Setup::Router& r : setup.routers) routers_[r.config->label.value] = r.id;
  for (const auto& [label, id] : before) {
    if (!routers_.contains(label)) leaving_[id] = workers_.size();
  }
  const std::string told = listeners_.Apply(*plan, &setup);
  SetTls(std::move(tls), &setup);
  if (setup.tls) tls_watch_.Watch(setup.tls);
  names_.Reconfigure(std::move(namers), BaseDtabs(setup));
  config_ = std::move(config);
  setup_ = std::move(setup);
  auto shared = std::make_shared<const Setup>(setup_);
  for (auto& worker : workers_) worker->Apply(shared);
  listeners_.Start();
  announcers_.Apply(setup_, admin_->address());
  reloads_->Add();
  last_reload_ok_->Set(1);
  last_tls_ok_->Set(1);
  bad_tls_.reset();
  LOG(INFO) << "reloaded the configuration" << (told.empty() ? "" : ": ") << told;
  return {};
}

void Process::SetTls(std::shared_ptr<const TlsContexts> tls, Setup* setup) {
  setup->tls = std::move(tls);
  for (Setup::Router& router : setup->routers) {
    for (Setup::Server& server : router.servers) {
      const auto& says = server.config->tls;
      server.tls = says ? setup->tls->Of(*says) : nullptr;
    }
  }
}

// Something happened to files of certificates: all of the new ones, or none.
void Process::OnTlsFiles() {
  if (draining_) return;
  // What was told once is not told again: a log in the same folder would make it so for ever.
  const uint64_t digest = TlsContexts::DigestOf(*config_);
  if (digest == bad_tls_) return;
  bad_tls_.reset();
  std::vector<conf::Problem> problems;
  auto fresh = TlsContexts::Load(*config_, tls_.file, *tls_.state, setup_.tls.get(), &problems);
  for (const conf::Problem& problem : problems) LOG(ERROR) << problem.Show();
  if (!problems.empty()) {
    LOG(ERROR) << "certificates were not read again; those in use stay";
    bad_tls_ = digest;
    last_tls_ok_->Set(0);
    return failed_tls_reloads_->Add();
  }
  last_tls_ok_->Set(1);
  if (fresh->Same(*setup_.tls)) return;
  SetTls(std::move(fresh), &setup_);
  tls_watch_.Watch(setup_.tls);
  auto shared = std::make_shared<const Setup>(setup_);
  for (auto& worker : workers_) worker->Apply(shared);
  tls_reloads_->Add();
  LOG(INFO) << "certificates were read again, for connections from now on";
}

void Process::CountFailedReload() {
  failed_reloads_->Add();
  last_reload_ok_->Set(0);
}

void Process::WarnOfRestart(const conf::Config& config) const {
  auto warn = [](bool same, const char* key) {
    LOG_IF(WARNING, !same) << key << ": a new value takes a new process; it stays as it was";
  };
  warn(config.workers == started_->workers, "workers");
  warn(config.admin.ip == started_->admin.ip, "admin.ip");
  warn(config.admin.port == started_->admin.port, "admin.port");
  warn(config.prometheus == started_->prometheus, "telemetry");
}

base::Status Process::StartAdmin() {
  admin::AdminOptions options;
  options.version = version_;
  options.prometheus.clear();
  for (const auto& page : config_->prometheus) {
    options.prometheus.push_back({page.path.value, page.prefix});
  }
  admin::AdminSources sources;
  sources.metrics = metrics_;
  sources.ready = [this] { return !draining_; };
  sources.delegate = [this](const admin::DelegateRequest& request, admin::DelegateAnswer answer) {
    Delegate(request, std::move(answer));
  };
  sources.namer_state = [this](const std::string& prefix) { return NamerState(prefix); };
  sources.shutdown = [this] { loop_->Post([this] { Drain(); }); };
  admin_ = std::make_unique<admin::AdminServer>(loop_, std::move(options), std::move(sources));
  base::Status status = admin_->Listen(config_->admin.ip.value, config_->admin.port.value);
  if (status.ok()) return status;
  return {status.code(), "admin: " + status.message()};
}

void Process::Delegate(const admin::DelegateRequest& request, admin::DelegateAnswer answer) {
  const std::vector<conf::RouterConfig>& routers = config_->routers;
  auto router = routers.begin();
  if (request.router) {
    router = std::find_if(routers.begin(), routers.end(),
                          [&request](const auto& r) { return r.label.value == *request.router; });
    if (router == routers.end()) return answer(admin::UnknownRouter(*request.router));
  }
  derivations_.Answer(names_.namers(), router->dtab.value + request.dtab, request.path,
                      std::move(answer));
}

// The first one of that prefix is the one that is asked first.
std::optional<std::string> Process::NamerState(const std::string& prefix) const {
  const std::string shown = "/#/" + prefix;
  for (const naming::NamerSet::Entry& entry : names_.namers()->entries) {
    if (entry.prefix.Show() == shown) return entry.namer->State();
  }
  return std::nullopt;
}

void Process::StartWorkers() {
  uint32_t count = config_->workers.value_or(std::max(1u, std::thread::hardware_concurrency()));
  auto seed = static_cast<uint64_t>(loop_->clock()->Wall().time_since_epoch().count());
  for (uint32_t i = 0; i < count; i++) {
    workers_.push_back(std::make_unique<Worker>(
        Share{i, count, &probes_, tls_.state ? &tls_.state->sessions : nullptr}, &names_,
        metrics_->NewTable(), loop_->clock(), seed));
    workers_.back()->on_room = [this](uint32_t server) {
      loop_->Post([this, server] {
        if (!draining_) listeners_.OnRoom(server);
      });
    };
    workers_.back()->on_router_gone = [this](uint32_t router) {
      loop_->Post([this, router] { OnRouterGone(router); });
    };
    workers_.back()->Start(setup_);
  }
}

// To the worker that has the fewest, so that they stay even.
void Process::OnAccepted(uint32_t server, int descriptor, const net::Address& peer) {
  auto fewest = std::min_element(
      workers_.begin(), workers_.end(),
      [](const auto& a, const auto& b) { return a->connections() < b->connections(); });
  (*fewest)->Accept(server, descriptor, peer);
}

void Process::OnRouterGone(uint32_t router) {
  auto it = leaving_.find(router);
  if (it == leaving_.end() || --it->second > 0) return;
  leaving_.erase(it);
  names_.Forget(router);
}

std::string Process::ReadyLine() const {
  std::string line = "trestle " + version_ + " is ready:";
  for (const Setup::Router& router : setup_.routers) {
    for (const Setup::Server& server : router.servers) {
      const std::string& label = server.config->label;
      line += " " + router.config->label.value + (label.empty() ? "" : " (" + label + ")") +
              " on " + server.address.Show() + ",";
    }
  }
  return line + " admin on " + admin_->address().Show() + ", " + std::to_string(workers_.size()) +
         (workers_.size() == 1 ? " worker" : " workers");
}

void Process::Drain() {
  if (draining_) return loop_->Stop();
  draining_ = true;
  const conf::Millis grace = config_->admin.shutdown_grace;
  LOG(INFO) << "draining: calls in flight have " << grace.count() << " ms";
  grace_.Arm(grace);
  // Half of the grace at most: what is in flight is to end by itself.
  announcers_.Leave(std::min<base::Duration>(kLeavePatience, grace / 4),
                    std::min<base::Duration>(kHeard, grace / 4), [this] { Close(); });
}

void Process::Close() {
  listeners_.Close();
  undrained_ = workers_.size();
  for (auto& worker : workers_) {
    worker->Drain([this] {
      loop_->Post([this] {
        if (--undrained_ == 0) loop_->Stop();
      });
    });
  }
}

uint32_t Process::connections() const {
  uint32_t sum = 0;
  for (const auto& worker : workers_) sum += worker->connections();
  return sum;
}

}  // namespace trestle::router
