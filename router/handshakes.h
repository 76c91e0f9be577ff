// Handshakes: the connections of one server on one worker until they speak TLS: fresh ones (where
// clear text is welcome too, until they turn out to speak that), and those that agreed on it in
// clear text. So many shake hands at the same time; more wait.
//
// Clients that are silent or slow hold up no others: who has sent nothing yet, or speaks clear
// text, takes no place; the time of a connection runs from when it came, also while it waits; of
// those that wait the last one is next, as its client is the likeliest to be still there; and while
// any wait, a place is had for a fifth of that time only, unless the client's next bytes are here.
//
// Lifetime: destroying it gives all of them up. Threading: its worker's loop. Errors: a handshake
// that fails is told in the log, so many a second, and counted by what went wrong.
#pragma once

#include <cstdint>
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
    // TLS is told from clear text by its first two bytes (16 03: as a frame of Thrift it would be
    // one of 369 MB). Who is silent until the end of his time is taken for one of clear text: he
    // may wait in a pool for hours.
    bool optional = false;
    base::Duration timeout{};         // from when a connection came
    uint32_t most = 1;                // at the same time
    std::optional<Identities> allow;  // none: everybody may
    bool may_agree_later = false;     // who speaks clear text will be in TLS before any call
  };
  // Takes a connection that can be used, with what was read of it; nothing: it ended here.
  using Ready = std::function<void(std::unique_ptr<net::Transport>, base::Buffer unread)>;
  // `ready`: for fresh ones.
  Handshakes(net::EventLoop* loop, base::Scope* scope, Ready ready);
  ~Handshakes();
  Handshakes(const Handshakes&) = delete;
  Handshakes& operator=(const Handshakes&) = delete;

  // For handshakes from now on.
  void Set(Options options);
  void Begin(std::unique_ptr<net::Transport> transport);
  // One that agreed on TLS; `unread` is of that.
  void Secure(std::unique_ptr<net::Transport> transport, base::Buffer unread, Ready ready);
  // Connections that shake hands or wait end here. Not from within a Ready.
  void GiveUp();

 private:
  class Comer;  // has not begun
  struct Running;
  using Comers = std::list<std::unique_ptr<Comer>>;

  void Add(std::unique_ptr<Comer> comer);
  void OnFirstBytes(Comer* comer);
  void OnClear(Comer* comer);
  void OnComerTime(Comer* comer);
  void Start(std::unique_ptr<Comer> comer);
  // The last who waits, and so on, as far as there are places.
  void Next();
  // Takes places from those that are slow.
  void MakeRoom();
  void OnDone(std::list<Running>::iterator at,
              base::Result<std::unique_ptr<net::Transport>> result);
  void OnAccepted(std::unique_ptr<net::Transport> transport, base::Buffer unread,
                  const Ready& ready);
  // Why the client may not; empty: it may.
  std::string Refusal(const net::Peer& peer) const;
  // The end of one that is no connection.
  void Failed(const std::string& why, const Ready& ready);
  void Tell(const std::string& why);
  size_t all() const { return silent_.size() + waiting_.size() + running_.size(); }
  // How long a place is had while others wait.
  base::Duration patience() const { return options_.timeout / 5; }

  net::EventLoop* loop_;
  Ready ready_;
  Options options_;
  Comers silent_;               // nothing came of them
  Comers waiting_;              // in the order of their first bytes
  std::list<Running> running_;  // in the order of their beginning
  net::Timer crowd_;            // while any wait
  base::Counter *handshakes_, *failures_, *refused_, *clear_, *gone_;
  base::Gauge* pending_;
  base::TimePoint tell_at_{};
  uint64_t untold_ = 0;
};

}  // namespace trestle::router
