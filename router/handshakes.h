// Handshakes: the connections of one server on one worker until they speak TLS: fresh ones (where
// clear text is welcome too, until they turn out to speak that), and those that agreed on it in
// clear text. So many shake hands at the same time; more wait.
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
#include "router/identities.h"
#include "tls/handshake.h"

namespace trestle::router {

class Handshakes {
 public:
  struct Options {
    std::shared_ptr<const tls::ServerContext> context;
    tls::Accepting::Mode mode = tls::Accepting::Mode::kTls;
    base::Duration timeout{};
    uint32_t most = 1;                // at the same time
    std::optional<Identities> allow;  // none: everybody may
    bool may_agree_later = false;     // who speaks clear text will be secured before any call
  };
  // Takes a connection that can be used, with what was read of it; nothing: it ended here.
  using Ready = std::function<void(std::unique_ptr<net::Transport>, base::Buffer unread)>;
  // `ready`: for fresh ones.
  Handshakes(net::EventLoop* loop, base::Scope* scope, Ready ready);
  ~Handshakes();
  Handshakes(const Handshakes&) = delete;
  Handshakes& operator=(const Handshakes&) = delete;

  // For connections from now on.
  void Set(Options options);
  void Begin(std::unique_ptr<net::Transport> transport);
  // One that agreed on TLS: it begins now, and `unread` is of it.
  void Secure(std::unique_ptr<net::Transport> transport, base::Buffer unread, Ready ready);
  // Connections that shake hands or wait end here.
  void GiveUp();

 private:
  struct Fresh {
    std::unique_ptr<net::Transport> transport;
    base::Buffer unread;
    tls::Accepting::Mode mode;
    Ready ready;
  };
  struct Running {
    std::unique_ptr<tls::Accepting> accepting;
    Ready ready;
  };
  void Add(Fresh fresh);
  void Start(Fresh fresh);
  // Why the client may not; empty: it may.
  std::string Refusal(const tls::Accepting::Accepted& accepted) const;
  void Tell(const std::string& why);
  void OnDone(std::list<Running>::iterator at, base::Result<tls::Accepting::Accepted> result);
  void Next();

  net::EventLoop* loop_;
  Ready ready_;
  Options options_;
  std::list<Running> running_;
  std::deque<Fresh> waiting_;
  base::Counter *handshakes_, *failures_, *refused_, *clear_;
  base::Gauge* pending_;
  base::TimePoint tell_at_{};
  uint64_t untold_ = 0;
};

}  // namespace trestle::router
