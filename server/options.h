// What a server is told: bounds and habits, already divided among the workers.
//
// Lifetime: outlives the server's sessions. Threading: read-only. Errors: none; conf has
// checked what stands here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.h"
#include "mux/message.h"
#include "thrift/dialect.h"

namespace trestle::server {

struct Options {
  // What comes in: Thrift; mux sessions with Thrift in them, and Thrift without; mux sessions with
  // anything in them.
  enum class Port : uint8_t { kThrift, kThriftMux, kMux } port = Port::kThrift;
  // What is not given is told from the first bytes of each connection.
  thrift::DialectHint dialect{thrift::Framing::kFramed, thrift::Protocol::kBinary};
  uint32_t max_frame_bytes = 16'384'000;
  uint32_t stream_threshold = 64 * 1024;  // a larger message is not held until whole
  base::Duration body_idle_timeout = std::chrono::seconds(10);  // of a message in the middle
  uint32_t max_pipelined = 32;        // calls of one connection at the same time
  uint32_t max_dispatches = 10'000;   // the same of a mux session: past it calls are nacked
  uint32_t mux_fragment = INT32_MAX;  // the largest body of a mux message that is asked for
  // Whether what begins in clear text goes over to TLS in the handshake of mux. kRequired: nothing
  // but that handshake is taken in clear text. Not kOff: the server has a `secure`.
  mux::TlsLevel mux_tls = mux::TlsLevel::kOff;
  std::optional<uint32_t> max_concurrent;  // calls of this worker's share; none: no bound
  bool clear_context = false;
  std::string dest;  // "/users"; empty: none
  enum class OnHalfClose { kServe, kCancel } on_half_close = OnHalfClose::kServe;
  base::Duration half_close_timeout = std::chrono::seconds(10);
  std::optional<base::Duration> idle_time, life_time;
  std::optional<base::Duration> read_timeout, write_timeout;  // of a connection
  // Bytes held for one connection (replies that wait for their turn, or that the client does not
  // take): past it no more calls are read from it.
  size_t max_connection_bytes = 1 << 20;
  // Bytes held by all of this worker: from three quarters on, connections that hold some are read
  // no more; past it calls are refused.
  size_t max_buffered_bytes = 256 << 20;
  // Calls of one connection whose name is not bound yet: past it no more are read from it.
  uint32_t max_pending_bindings = 8;
  friend bool operator==(const Options&, const Options&) = default;
};

}  // namespace trestle::server
