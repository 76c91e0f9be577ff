// Transport: a stream of bytes to one peer: TCP, TLS over another Transport, or memory in tests.
//
// Lifetime: owned by one Connection. Threading: its loop's. Errors: every call says at once what
// the stream can do (IoResult); nothing blocks.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <string>

#include "net/address.h"

namespace trestle::net {

struct IoResult {
  enum class Kind {
    kBytes,   // `bytes` were moved
    kAgain,   // nothing now; an event will tell
    kEnd,     // the peer sends no more, in good order
    kBroken,  // reset, or an end that was cut off
  };
  Kind kind;
  size_t bytes = 0;
  int error = 0;  // kBroken: errno
};

// Who is at the other end.
struct Peer {
  Address address;
  std::string identity;  // verified name of its certificate; empty without
  bool secure = false;   // the stream is in TLS
};

class Transport {
 public:
  class Events {
   public:
    virtual ~Events() = default;
    virtual void OnReadable() = 0;
    virtual void OnWritable() = 0;
    // Only under Watch::kHangup: the stream is dead in both directions.
    virtual void OnHangup() = 0;
    // Only under Watch::kHangup: the peer has sent its end, though bytes before it may be unread.
    // Perhaps more than once.
    virtual void OnEndAhead() = 0;
  };
  // kHangup: reading is off (paused, or the peer has ended), a reset or an end is still noticed.
  enum class Watch { kOff, kRead, kHangup };

  virtual ~Transport() = default;
  // Who hears of events; nobody before. Watching starts off.
  virtual void Attach(Events* events) = 0;
  virtual void WatchRead(Watch watch) = 0;
  virtual void WatchWrite(bool on) = 0;
  virtual IoResult Read(char* to, size_t room) = 0;
  virtual IoResult Write(const struct iovec* from, int count) = 0;
  // Says that no more will be written (FIN, close_notify).
  virtual void ShutdownWrite() = 0;
  // `reset`: tell the peer that this was no orderly end, where the stream can.
  virtual void Close(bool reset) = 0;
  // At the time of OnReadable: the peer's end is known to come behind the bytes there.
  virtual bool end_ahead() const { return false; }
  // At any time: bytes or the peer's end are here, though nobody was told yet. A system call.
  virtual bool Readable() { return false; }
  // What broke it, for people, where the stream knows more than the errno.
  virtual std::string why() const { return {}; }
  virtual const net::Peer& peer() const = 0;
  // The socket, -1 if there is none.
  virtual int descriptor() const = 0;
};

}  // namespace trestle::net
