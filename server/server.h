// Server: all client connections of one configured server on one worker.
//
// Lifetime: of its worker; sessions die with it. Threading: its worker's loop. Errors: bad bytes
// close the connection they came from, with a counter and a rate-limited log line.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/metrics.h"
#include "call/call.h"
#include "call/call_metrics.h"
#include "net/event_loop.h"
#include "net/transport.h"
#include "server/options.h"
#include "server/session.h"

namespace trestle::server {

// The cells of rt/LABEL/server/IP/PORT/mux; made with the first mux session.
struct MuxMetrics {
  explicit MuxMetrics(base::Scope* scope);
  base::Counter *sessions, *handshakes, *pings, *drains, *discards, *nacks, *errors,
      *duplicate_tags;
  base::Counter *fragments_received, *fragments_sent;
  base::Gauge *open, *tags;
};

// The cells of rt/LABEL/server/IP/PORT.
struct ServerMetrics {
  explicit ServerMetrics(base::Scope* scope);
  base::Scope* scope;
  call::CallMetrics calls;
  base::Counter *router_errors, *refused, *upgrades;
  base::Counter *connects, *closes, *malformed, *received_bytes, *sent_bytes, *broken_replies;
  base::Gauge *connections, *held_back;
  base::Histogram *request_bytes, *response_bytes, *connection_requests;
};

class Server {
 public:
  // `handler` and `scope` outlive it.
  Server(net::EventLoop* loop, Options options, call::Handler* handler, base::Scope* scope);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Takes a fresh connection, with what was read of it already.
  void Accept(std::unique_ptr<net::Transport> transport, base::Buffer unread = {});
  // Goes on with a connection whose first bytes told what it speaks.
  void Open(std::unique_ptr<net::Transport> transport, base::Buffer unread, bool mux);
  // New options: those of a connection's dialect and bounds of its messages hold for connections
  // that come, all others at once.
  void Reconfigure(Options options);
  // Lets calls in flight finish; `drained` is called when no connection is left (perhaps at once).
  void Drain(std::function<void()> drained);
  // Closes everything now; calls in flight are cancelled.
  void CloseAll();
  size_t connections() const { return sessions_.size(); }
  // Called whenever a connection has ended, also one that came too late.
  std::function<void()> on_closed;
  // Goes over to TLS on a connection, whose bytes after the clear text are `unread`. `secured` has
  // it when that is done, or nothing when it failed. None: there is clear text alone.
  using Secured = std::function<void(std::unique_ptr<net::Transport>, base::Buffer unread)>;
  std::function<void(std::unique_ptr<net::Transport>, base::Buffer unread, Secured secured)> secure;

  // --- for its sessions ---
  net::EventLoop* loop() { return loop_; }
  const Options& options() const { return options_; }
  call::Handler* handler() { return handler_; }
  ServerMetrics& metrics() { return metrics_; }
  bool draining() const { return draining_; }
  std::unique_ptr<call::Call> TakeCall();
  void GiveBack(std::unique_ptr<call::Call> call);
  // Now and then: gives back half of the spare calls that nobody needed since the last time.
  void Tidy();
  size_t spare_calls() const { return free_calls_.size(); }
  // False when one more call would be over the bound.
  bool Admit();
  void Remove(Session* session);
  // The same, but its connection goes on in another session.
  bool Forget(Session* session);
  // The connection of a mux session goes on in TLS, and the session with it. `piece`: see
  // MuxSession::GoOn.
  void Secure(std::unique_ptr<net::Transport> transport, base::Buffer unread, uint32_t piece);
  void CountBadBytes(const net::Peer& peer, const std::string& why);
  void CountDialect(const thrift::Dialect& dialect);
  MuxMetrics& mux();
  // From three quarters of max_buffered_bytes on: who holds some is to read no more.
  bool tight() const { return base::Block::BytesOnThread() > options_.max_buffered_bytes / 4 * 3; }
  // Past max_buffered_bytes: no more is taken on.
  bool full() const { return base::Block::BytesOnThread() > options_.max_buffered_bytes; }
  // `session` reads no more until OnMemory; in the order of coming. Free() takes it back.
  void HoldBack(Session* session);
  bool holds_back_others(const Session* session) const {
    return !held_back_.empty() && (held_back_.size() > 1 || held_back_.front() != session);
  }
  bool favours(const Session* session) const { return session == favoured_; }
  void Free(Session* session);
  // Memory is short: looks from time to time who can go on, and who holds some for nothing.
  void LookAgain();

 private:
  void OnLookAgain();
  void OnConnectionGone();
  void Insert(std::unique_ptr<Session> session, base::Buffer unread);

  net::EventLoop* loop_;
  Options options_;
  call::Handler* handler_;
  ServerMetrics metrics_;
  std::unique_ptr<MuxMetrics> mux_metrics_;
  std::unordered_set<Session*> sessions_;
  std::vector<std::unique_ptr<call::Call>> free_calls_;
  size_t least_free_ = 0;  // since the last Tidy
  uint32_t calls_ = 0;
  std::list<Session*> held_back_;
  Session* favoured_ = nullptr;  // is read although memory is short
  base::TimePoint favoured_at_{};
  net::Timer look_again_;  // while memory is short, or some are still held back
  base::TimePoint all_looked_at_{};
  base::Counter* dialects_[3][2] = {};
  bool draining_ = false;
  std::function<void()> drained_;
  base::TimePoint last_logged_{};
  uint64_t unlogged_ = 0;
};

}  // namespace trestle::server
