// Greeting: a fresh connection to a ThriftMux port, until its first bytes have told whether it is a
// mux session or plain Thrift. Then the session that they ask for goes on with it.
//
// Lifetime: owned by its Server; it takes itself out. Threading: its worker's loop. Errors: what is
// neither goes to the Thrift session, which names it in the log and closes.
#pragma once

#include <memory>

#include "base/buffer.h"
#include "net/event_loop.h"
#include "net/transport.h"
#include "server/server.h"
#include "server/session.h"

namespace trestle::server {

class Greeting final : public Session, private net::Transport::Events {
 public:
  Greeting(Server* server, std::unique_ptr<net::Transport> transport);
  ~Greeting() override;

  void Start(base::Buffer unread) override;
  void OnReconfigured() override;
  void OnMemory() override {}
  void OnTight() override {}
  bool MidMessage() const override { return false; }
  void Drain() override { Abandon(); }
  void Abandon() override;

 private:
  void OnReadable() override;
  void OnWritable() override {}
  void OnHangup() override { Abandon(); }
  void OnEndAhead() override {}
  // False while the bytes do not tell; else it is over.
  bool Tell();
  void ArmTimer();

  Server* server_;
  std::unique_ptr<net::Transport> transport_;  // null: handed on, or closed
  base::Buffer in_;
  net::Timer timer_;
  base::TimePoint opened_, moved_;
};

}  // namespace trestle::server
