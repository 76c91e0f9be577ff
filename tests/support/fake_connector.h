// FakeConnector: opens connections in memory. A test decides which succeed, and holds the far ends.
//
// Lifetime: outlives its attempts. Threading: one loop. Errors: what a test asked for.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "net/connector.h"
#include "tests/support/memory_transport.h"

namespace trestle::tests {

class FakeConnector final : public net::Connector {
 public:
  // A connection's backend: the far end, and what it read so far.
  struct Backend {
    std::string at;
    std::unique_ptr<MemoryTransport> end;
    MemoryTransport* near = nullptr;
  };

  explicit FakeConnector(net::EventLoop* loop) : loop_(loop) {}
  ~FakeConnector() override { *alive_ = false; }

  std::unique_ptr<Attempt> Connect(const net::Address& to, base::Duration timeout,
                                   Done done) override {
    tries.push_back(to.Show());
    last_timeout = timeout;
    auto attempt = std::make_unique<Trying>(this, to, std::move(done));
    trying_.push_back(attempt.get());
    if (!hold) Later(attempt.get());
    return attempt;
  }
  // With `hold`: ends the oldest attempt; false when there is none.
  bool Go() {
    if (trying_.empty()) return false;
    Later(trying_.front());
    return true;
  }
  size_t trying() const { return trying_.size(); }

  // The most recent connection to `at`.
  Backend* to(const std::string& at) {
    for (auto it = backends.rbegin(); it != backends.rend(); ++it) {
      if ((*it)->at == at) return it->get();
    }
    return nullptr;
  }

  bool hold = false;               // attempts wait for Go()
  std::set<std::string> refusing;  // "10.0.0.1:1"
  bool refuse_all = false;
  base::Code refused_as = base::Code::kUnavailable;
  size_t capacity = 1 << 20;  // of each direction
  std::vector<std::string> tries;
  base::Duration last_timeout{};
  std::vector<std::unique_ptr<Backend>> backends;

 private:
  struct Trying final : Attempt {
    Trying(FakeConnector* o, const net::Address& t, Done d)
        : owner(o), to(t), done(std::move(d)), alive(o->alive_) {}
    ~Trying() override {
      if (*alive) std::erase(owner->trying_, this);
    }
    FakeConnector* owner;
    net::Address to;
    Done done;
    std::shared_ptr<bool> alive;
  };

  void Later(Trying* attempt) {
    loop_->Post([this, attempt, alive = alive_] {
      if (!*alive) return;
      if (std::find(trying_.begin(), trying_.end(), attempt) == trying_.end()) return;
      std::erase(trying_, attempt);
      Finish(attempt);
    });
  }
  void Finish(Trying* attempt) {
    const std::string at = attempt->to.Show();
    Done done = std::move(attempt->done);
    if (refuse_all || refusing.count(at) > 0) {
      return done(base::Status(refused_as, "cannot connect to " + at + ": refused"));
    }
    auto [near, far] = MemoryTransport::Pair(loop_, capacity);
    near->set_peer({attempt->to, {}});
    auto backend = std::make_unique<Backend>();
    backend->at = at;
    backend->near = near.get();
    backend->end = std::move(far);
    backends.push_back(std::move(backend));
    done(std::unique_ptr<net::Transport>(std::move(near)));
  }

  net::EventLoop* loop_;
  std::vector<Trying*> trying_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace trestle::tests
