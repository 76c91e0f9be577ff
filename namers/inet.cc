#include "namers/inet.h"

#include <utility>
#include <vector>

#include "naming/literal.h"

namespace trestle::namers {

using naming::Addr;
using naming::Endpoint;
using naming::Var;

// One host and port in use. It is asked about, waits `refresh` after the answer, is asked about
// again.
class Inet::Name : public std::enable_shared_from_this<Name> {
 public:
  Name(Inet* inet, std::string host, uint16_t port)
      : resolver_(inet->resolver_),
        options_(inet->options_),
        host_(std::move(host)),
        port_(port),
        timer_(inet->loop_, [this] { OnTimer(); }) {}

  void Ask() {
    query_ = resolver_->Resolve(host_,
                                [this](const net::Resolver::Answer& answer) { OnAnswer(answer); });
    timer_.Arm(options_.patience);
  }
  void SetLiteral(const std::string& ip) { addr_.Set(Addr::Bound({{ip, port_, 1.0, false}})); }
  std::shared_ptr<Var<Addr>> addr() { return {shared_from_this(), &addr_}; }

 private:
  void OnAnswer(const net::Resolver::Answer& answer) {
    auto self = shared_from_this();  // a listener may let go of us
    query_.reset();
    timer_.Arm(options_.refresh);
    if (answer.ok()) {
      std::vector<Endpoint> endpoints;
      for (const std::string& ip : *answer) endpoints.push_back({ip, port_, 1.0, false});
      Set(Addr::Bound(std::move(endpoints)));
    } else if (answer.status().code() == base::Code::kNoRoute) {
      Set(Addr::Neg());
    } else {
      Fail(answer.status().message());
    }
  }

  void OnTimer() {
    auto self = shared_from_this();
    if (!query_) return Ask();
    // Not asked anew: the Resolver would only join us to the lookup that hangs.
    Fail(host_ + ": no answer within " + base::ShowMillis(options_.patience));
  }

  // Nobody could say: what was said last stays.
  void Fail(const std::string& cause) {
    Addr addr = addr_.Get();
    if (addr.kind == Addr::Kind::kNeg) return;
    if (addr.kind != Addr::Kind::kBound) addr = Addr::Failed({});
    addr.cause = cause;
    Set(std::move(addr));
  }

  void Set(Addr addr) {
    if (addr_.Get() != addr) addr_.Set(std::move(addr));
  }

  net::Resolver* resolver_;
  const Options options_;
  const std::string host_;
  const uint16_t port_;
  Var<Addr> addr_{Addr::Pending()};
  std::unique_ptr<net::Resolver::Query> query_;
  net::Timer timer_;
};

Inet::Inet(net::EventLoop* loop, net::Resolver* resolver, Options options)
    : loop_(loop), resolver_(resolver), options_(options), names_(std::make_shared<Names>()) {}

Inet::~Inet() = default;

std::shared_ptr<Var<Addr>> Inet::Resolve(const std::string& host, uint16_t port) {
  loop_->AssertInLoop();
  auto key = std::pair(host, port);
  if (auto at = names_->find(key); at != names_->end()) {
    if (auto name = at->second.lock()) return name->addr();
  }
  if (names_->size() >= options_.max_names) {
    return std::make_shared<Var<Addr>>(
        Addr::Failed(host + ": over " + std::to_string(options_.max_names) + " host names in use"));
  }
  std::shared_ptr<Name> name(new Name(this, host, port), [names = names_, key](Name* dead) {
    names->erase(key);
    delete dead;
  });
  (*names_)[key] = name;
  if (auto ip = host.empty() ? "127.0.0.1" : naming::LiteralIp(host)) {
    name->SetLiteral(*ip);
  } else {
    name->Ask();
  }
  return name->addr();
}

}  // namespace trestle::namers
