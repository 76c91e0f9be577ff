// Opening: a connection on its way: it connects and agrees on what is spoken: for mux, the
// handshake of a session, and TLS where both want that; where the endpoint is to be asked, the
// upgrade to TTwitter. A backend that hangs up at being asked for that, or says nothing, is
// connected to once more and spoken to plainly.
//
// Lifetime: of its Pool; destroying it gives up. Threading: its worker's loop. Errors: told to its
// owner, once.
#pragma once

#include <memory>

#include "backend/handshake.h"
#include "backend/mux_handshake.h"
#include "backend/options.h"
#include "net/connector.h"

namespace trestle::backend {

// A connection that a session can begin on.
struct Opened {
  std::unique_ptr<net::Transport> transport;
  base::Buffer unread;  // was read already
  MuxTerms mux;
};

class Opening final : private Handshake::Owner, private MuxHandshake::Owner {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    // The endpoint was asked, and this is what it said; the opening goes on.
    virtual void OnAnswer(Opening* opening, Answer answer) = 0;
    // The end of it; it may be destroyed only through EventLoop::DeleteLater.
    virtual void OnOpened(Opening* opening, base::Result<Opened> result) = 0;
  };
  struct What {
    Wire wire = Wire::kThrift;  // never kAuto
    thrift::Protocol protocol = thrift::Protocol::kBinary;
    bool ask = false;  // for the upgrade to TTwitter
  };

  Opening(net::EventLoop* loop, const Options& options, net::Connector* connector,
          const net::Address& to, const What& what, Owner* owner);
  void Start() { Connect(); }
  // Nothing is told any more, whatever comes until it is destroyed.
  void GiveUp();

  Wire wire() const { return what_.wire; }
  thrift::Protocol protocol() const { return what_.protocol; }
  // It is to ask and has no answer yet.
  bool asks() const { return what_.ask; }
  bool upgraded() const { return upgraded_; }
  // It had a connection, and failed on it.
  bool connected() const { return connected_; }
  base::TimePoint started() const { return started_; }

 private:
  void Connect();
  void OnConnected(base::Result<std::unique_ptr<net::Transport>> result);
  void OnAnswer(Answer answer, std::unique_ptr<net::Transport> transport) override;
  void OnAgreed(std::unique_ptr<net::Transport> transport, base::Buffer unread,
                const MuxTerms& terms) override;
  void OnSecured(base::Result<std::unique_ptr<net::Transport>> result, const MuxTerms& terms);
  void OnNoMux(const base::Status& why) override;

  net::EventLoop* loop_;
  const Options& options_;
  net::Connector* connector_;
  net::Address to_;
  What what_;
  bool upgraded_ = false;
  bool connected_ = false;
  Owner* owner_;  // null: given up
  base::TimePoint started_;
  std::unique_ptr<net::Connector::Attempt> attempt_;
  std::unique_ptr<Handshake> handshake_;
  std::unique_ptr<MuxHandshake> mux_;
};

}  // namespace trestle::backend
