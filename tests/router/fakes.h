// The world around a router in its tests: a namer that says what a test tells it to, and backends
// in memory behind a Connector.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "naming/dtab.h"
#include "naming/namer.h"
#include "net/connector.h"
#include "tests/router/wire.h"
#include "tests/support/memory_transport.h"

namespace trestle::router::testing {

inline naming::Path P(std::string_view text) {
  auto path = naming::Path::Parse(text);
  EXPECT_TRUE(path.ok()) << text;
  return path.ok() ? *path : naming::Path();
}
inline naming::Dtab D(std::string_view text) {
  auto dtab = naming::Dtab::Parse(text);
  EXPECT_TRUE(dtab.ok()) << text << ": " << dtab.status().message();
  return dtab.ok() ? *dtab : naming::Dtab();
}
// Endpoints of 10.0.0.1 with these ports.
inline naming::Addr Ports(const std::vector<uint16_t>& ports) {
  std::vector<naming::Endpoint> endpoints;
  for (uint16_t port : ports) endpoints.push_back({"10.0.0.1", port});
  return naming::Addr::Bound(std::move(endpoints));
}

// Answers by the first label of what it is asked; Neg for all that it was told nothing of.
class FakeNamer final : public naming::Namer {
 public:
  enum class Says { kNeg, kPending, kFailed, kBound };

  void Say(const std::string& label, Says says) { AnswerOf(label)->Set(says); }
  // Bound, with this address.
  void Bind(const std::string& label, naming::Addr addr) {
    SetAddr(label, std::move(addr));
    Say(label, Says::kBound);
  }
  void Bind(const std::string& label, const std::vector<uint16_t>& ports) {
    Bind(label, Ports(ports));
  }
  void SetAddr(const std::string& label, naming::Addr addr) {
    auto& var = addrs_[label];
    if (!var) var = std::make_shared<naming::Var<naming::Addr>>();
    var->Set(std::move(addr));
  }
  // Somebody's answer hangs on the label.
  bool held(const std::string& label) {
    return answers_.contains(label) && answers_[label].use_count() > 1;
  }

  naming::Lookup Find(const naming::Path& prefix, const naming::Path& rest,
                      naming::Dependencies* deps) override {
    ++asked;
    if (rest.empty()) return naming::Lookup::Neg();
    auto answer = AnswerOf(rest[0]);
    deps->Add(answer);
    switch (answer->Get()) {
      case Says::kNeg:
        return naming::Lookup::Neg();
      case Says::kPending:
        return naming::Lookup::Pending();
      case Says::kFailed:
        return naming::Lookup::Failed("the source of " + rest[0] + " is broken");
      case Says::kBound:
        break;
    }
    return naming::Lookup::Bound({prefix + rest.Take(1), rest.Drop(1), addrs_[rest[0]]});
  }
  int asked = 0;

 private:
  std::shared_ptr<naming::Var<Says>> AnswerOf(const std::string& label) {
    auto& answer = answers_[label];
    if (!answer) answer = std::make_shared<naming::Var<Says>>(Says::kNeg);
    return answer;
  }
  std::map<std::string, std::shared_ptr<naming::Var<Says>>> answers_;
  std::map<std::string, std::shared_ptr<naming::Var<naming::Addr>>> addrs_;
};

// All backends there are, and the calls that reached them.
class Backends {
 public:
  enum class Mode { kAccept, kRefuse, kSilent };
  struct Peer {
    std::string address;
    std::unique_ptr<tests::MemoryTransport> end;
    std::string in;
  };
  struct Request {
    Peer* peer;
    Received message;
  };

  std::map<std::string, Mode> modes;  // by address; kAccept for all others
  std::map<std::string, int> connects;
  std::vector<std::unique_ptr<Peer>> peers;

  // What came since the last time.
  std::vector<Request> Take() {
    std::vector<Request> out;
    for (auto& peer : peers) {
      peer->in += peer->end->TakeAll();
      for (Received& message : TakeMessages(&peer->in)) {
        out.push_back({peer.get(), std::move(message)});
      }
    }
    return out;
  }
  static void Reply(const Request& to, const std::string& body) {
    to.peer->end->Send(
        Frame(Message(thrift::MessageType::kReply, to.message.name, to.message.seqid, body)));
  }
  size_t open() const {
    size_t n = 0;
    for (const auto& peer : peers) n += peer->end->peer_ended() || peer->end->peer_reset() ? 0 : 1;
    return n;
  }
};

class MemoryConnector final : public net::Connector {
 public:
  MemoryConnector(net::EventLoop* loop, Backends* backends) : loop_(loop), backends_(backends) {}

  std::unique_ptr<Attempt> Connect(const net::Address& to, base::Duration, Done done) override {
    auto attempt = std::make_unique<Trying>();
    const std::string address = to.Show();
    ++backends_->connects[address];
    const auto mode =
        backends_->modes.contains(address) ? backends_->modes[address] : Backends::Mode::kAccept;
    if (mode == Backends::Mode::kSilent) return attempt;
    loop_->Post([this, to, mode, done, wanted = std::weak_ptr<bool>(attempt->wanted)] {
      if (wanted.expired()) return;
      if (mode == Backends::Mode::kRefuse) {
        return done(base::Status(base::Code::kUnavailable, to.Show() + ": connection refused"));
      }
      auto [near, far] = tests::MemoryTransport::Pair(loop_);
      near->set_peer({to, ""});
      backends_->peers.push_back(
          std::make_unique<Backends::Peer>(Backends::Peer{to.Show(), std::move(far), ""}));
      done(std::unique_ptr<net::Transport>(std::move(near)));
    });
    return attempt;
  }

 private:
  struct Trying final : Attempt {
    std::shared_ptr<bool> wanted = std::make_shared<bool>(true);
  };
  net::EventLoop* loop_;
  Backends* backends_;
};

}  // namespace trestle::router::testing
