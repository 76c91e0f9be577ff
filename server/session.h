// Session: one client connection, whatever it speaks, as its Server sees it.
//
// Lifetime: owned by its Server; it removes itself. Threading: its worker's loop. Errors: told to
// the client, or by closing.
#pragma once

#include <list>

#include "base/buffer.h"

namespace trestle::server {

class Session {
 public:
  virtual ~Session() = default;
  // `unread`: bytes of the client that were read before.
  virtual void Start(base::Buffer unread) = 0;
  // The server's options are others now.
  virtual void OnReconfigured() = 0;
  // Reads on, if nothing else holds it back: there is memory again.
  virtual void OnMemory() = 0;
  // Memory is short: if it stands still, it may not hold any for long.
  virtual void OnTight() = 0;
  // A message has begun and is not whole.
  virtual bool MidMessage() const = 0;
  // Serves what is in flight, then closes.
  virtual void Drain() = 0;
  // Closes now; calls are cancelled.
  virtual void Abandon() = 0;

 protected:
  // Not read from, as the worker holds too much; in the server's list.
  bool held_back() const { return held_back_; }

 private:
  friend class Server;
  bool held_back_ = false;
  std::list<Session*>::iterator held_at_;
};

}  // namespace trestle::server
