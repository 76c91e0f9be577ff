// Handshakes: the fresh connections of one server on one worker until they speak TLS (or, where
// both are welcome, clear text). So many shake hands at the same time; more wait.
//
// Lifetime: destroying it gives all of them up. Threading: its worker's loop. Errors: a handshake
// that fails is told in the log, so many a second, and counted by what went wrong.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/buffer.h"
#include "base/metrics.h"
#include "net/event_loop.h"
#include "net/transport.h"
#include "tls/handshake.h"

namespace trestle::router {

class Handshakes {
 public:
  struct Options {
    std::shared_ptr<const tls::ServerContext> context;
    tls::Accepting::Mode mode = tls::Accepting::Mode::kTls;
    base::Duration timeout{};
    uint32_t most = 1;  // at the same time
    // Patterns of identities, "*" being any text; none: everybody may.
    std::optional<std::vector<std::string>> allow;
  };
  // `ready` takes a connection that can be used; `failed` hears of one that ended here.
  using Ready = std::function<void(std::unique_ptr<net::Transport>, base::Buffer unread)>;
  Handshakes(net::EventLoop* loop, base::Scope* scope, Ready ready, std::function<void()> failed);
  ~Handshakes();
  Handshakes(const Handshakes&) = delete;
  Handshakes& operator=(const Handshakes&) = delete;

  // For connections from now on.
  void Set(Options options);
  void Begin(std::unique_ptr<net::Transport> transport);
  // Of connections that shake hands or wait; `failed` is called for each.
  void GiveUp();

 private:
  struct Running;
  void Start(std::unique_ptr<net::Transport> transport);
  // Why the client may not; empty: it may.
  std::string Refusal(const tls::Accepting::Accepted& accepted) const;
  void Failed(const std::string& why);
  void OnDone(std::list<Running>::iterator at, base::Result<tls::Accepting::Accepted> result);
  void Next();

  net::EventLoop* loop_;
  Ready ready_;
  std::function<void()> failed_;
  Options options_;
  std::list<Running> running_;
  std::deque<std::unique_ptr<net::Transport>> waiting_;
  base::Counter *handshakes_, *failures_, *refused_, *clear_;
  base::Gauge* pending_;
  base::TimePoint tell_at_{};
  uint64_t untold_ = 0;
};

}  // namespace trestle::router
