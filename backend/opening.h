// Opening: a connection on its way: it connects and, where the endpoint is to be asked, sees to the
// upgrade to TTwitter. A backend that hangs up at being asked, or says nothing, is connected to
// once more and spoken to plainly.
//
// Lifetime: of its Pool; destroying it gives up. Threading: its worker's loop. Errors: told to its
// owner, once.
#pragma once

#include <memory>

#include "backend/handshake.h"
#include "backend/options.h"
#include "net/connector.h"

namespace trestle::backend {

class Opening final : private Handshake::Owner {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    // The endpoint was asked, and this is what it said; the opening goes on.
    virtual void OnAnswer(Opening* opening, Answer answer) = 0;
    // The end of it; it may be destroyed only through EventLoop::DeleteLater.
    virtual void OnOpened(Opening* opening,
                          base::Result<std::unique_ptr<net::Transport>> result) = 0;
  };

  Opening(net::EventLoop* loop, const Options& options, net::Connector* connector,
          const net::Address& to, thrift::Protocol protocol, bool ask, Owner* owner);
  void Start() { Connect(); }
  // Nothing is told any more, whatever comes until it is destroyed.
  void GiveUp();

  thrift::Protocol protocol() const { return protocol_; }
  // It is to ask and has no answer yet.
  bool asks() const { return ask_; }
  bool upgraded() const { return upgraded_; }
  base::TimePoint started() const { return started_; }

 private:
  void Connect();
  void OnConnected(base::Result<std::unique_ptr<net::Transport>> result);
  void OnAnswer(Answer answer, std::unique_ptr<net::Transport> transport) override;

  net::EventLoop* loop_;
  const Options& options_;
  net::Connector* connector_;
  net::Address to_;
  thrift::Protocol protocol_;
  bool ask_;
  bool upgraded_ = false;
  Owner* owner_;  // null: given up
  base::TimePoint started_;
  std::unique_ptr<net::Connector::Attempt> attempt_;
  std::unique_ptr<Handshake> handshake_;
};

}  // namespace trestle::backend
