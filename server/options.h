// What a server is told: bounds and habits, already divided among the workers.
//
// Lifetime: outlives the server's sessions. Threading: read-only. Errors: none; conf has
// checked what stands here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.h"
#include "thrift/message.h"

namespace trestle::server {

struct Options {
  thrift::Protocol protocol = thrift::Protocol::kBinary;
  uint32_t max_frame_bytes = 16'384'000;
  uint32_t max_pipelined = 32;             // calls of one connection at the same time
  std::optional<uint32_t> max_concurrent;  // calls of this worker's share; none: no bound
  bool clear_context = false;
  std::string dest;  // "/users"; empty: none
  enum class OnHalfClose { kServe, kCancel } on_half_close = OnHalfClose::kServe;
  base::Duration half_close_timeout = std::chrono::seconds(10);
  std::optional<base::Duration> idle_time, life_time;
  std::optional<base::Duration> read_timeout, write_timeout;  // of a connection
  // Output that a client does not take: past it no more calls are read from it.
  size_t max_unsent = 1 << 20;
};

}  // namespace trestle::server
