// Exchange: some words with a fresh connection before a session begins on it: bytes out, bytes in,
// an end in time.
//
// Lifetime: of the Opening or probe that waits for it; destroyed only through
// EventLoop::DeleteLater. Threading: its worker's loop. Errors: told to whoever derives from it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/buffer.h"
#include "base/clock.h"
#include "net/event_loop.h"
#include "net/transport.h"

namespace trestle::backend {

class Exchange : private net::Transport::Events {
 public:
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

 protected:
  Exchange(net::EventLoop* loop, std::unique_ptr<net::Transport> transport, base::Duration timeout);
  ~Exchange() override = default;

  // The first words; the time runs from here.
  void Begin(std::string_view bytes);
  void Say(std::string_view bytes);
  // More bytes came; `in` has all that was not taken yet.
  virtual void OnBytes(base::Buffer* in) = 0;
  // The stream ended or broke.
  virtual void OnBroken() = 0;
  // Its time is over.
  virtual void OnSilence() = 0;

  // All that was said is written, and the peer's end is not known to come.
  bool usable() const { return out_.empty() && !transport_->end_ahead(); }
  bool over() const { return transport_ == nullptr; }
  const net::Peer& peer() const { return transport_->peer(); }
  // In OnBroken: what the stream knows of the reason, in brackets; else nothing.
  std::string Why() const;
  net::EventLoop* loop() { return loop_; }
  // The end of it: the connection for whoever goes on with it.
  std::unique_ptr<net::Transport> Take();
  // The end of it: closes the connection.
  void Close();

 private:
  void OnReadable() override;
  void OnWritable() override { Write(); }
  void OnHangup() override;
  void OnEndAhead() override {}
  void Write();

  net::EventLoop* loop_;
  std::unique_ptr<net::Transport> transport_;
  base::Duration timeout_;
  base::Buffer in_, out_;
  bool blocked_ = false;
  net::Timer timer_;
};

}  // namespace trestle::backend
