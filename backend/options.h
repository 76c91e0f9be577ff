// What a backend client is told; bounds are this worker's share.
//
// Lifetime: outlives the Client that was made with it. Threading: read-only. Errors:
// none; conf has checked what stands here.
#pragma once

#include <cstdint>
#include <optional>

#include "base/clock.h"
#include "mux/message.h"
#include "thrift/dialect.h"

namespace trestle::backend {

// What is spoken on the connections to a backend.
enum class Wire : uint8_t {
  kThrift,   // as `framing` and `ttwitter` say
  kTHeader,  // with Apache Thrift's header transport
  kMux,
  kAuto,  // mux where an endpoint answers its probe, else kThrift
};

struct PoolOptions {
  uint32_t min_size = 0;
  uint32_t max_size = 10'000;
  uint32_t max_waiters = 10'000;
  std::optional<base::Duration> idle_time;  // none: for ever
  uint32_t max_in_flight = 1;               // calls on one connection at the same time
  uint32_t mux_in_flight = 65'536;          // the same of a mux session
  friend bool operator==(const PoolOptions&, const PoolOptions&) = default;
};

// How long an endpoint stays out: it grows from min to max, half of it by chance.
struct Backoff {
  base::Duration min = std::chrono::seconds(5);
  base::Duration max = std::chrono::seconds(300);
  bool jittered = true;
  friend bool operator==(const Backoff&, const Backoff&) = default;
};

struct AccrualOptions {
  bool enabled = true;
  uint32_t failures = 5;  // in a row
  Backoff backoff;
  // After a connect failure, whatever `enabled` says.
  Backoff connect_backoff{std::chrono::milliseconds(100), std::chrono::seconds(10), true};
  friend bool operator==(const AccrualOptions&, const AccrualOptions&) = default;
};

struct BudgetOptions {
  uint32_t min_retries_per_sec = 10;
  double percent_can_retry = 0.2;
  base::Duration ttl = std::chrono::seconds(10);
  friend bool operator==(const BudgetOptions&, const BudgetOptions&) = default;
};

class ProbeTable;

struct Options {
  PoolOptions pool;
  enum class Balance { kP2c, kRoundRobin } balance = Balance::kP2c;
  uint32_t max_effort = 5;
  AccrualOptions accrual;
  BudgetOptions budget;
  base::Duration connect_timeout = std::chrono::seconds(1);
  std::optional<base::Duration> attempt_timeout;
  std::optional<base::Duration> session_idle_time, session_life_time;
  std::optional<base::Duration> read_timeout, write_timeout;  // of a connection
  bool verify_seqid = true;
  uint32_t max_frame_bytes = 16'384'000;
  thrift::Framing framing = thrift::Framing::kFramed;
  bool ttwitter = false;  // asks each connection for the upgrade
  Wire wire = Wire::kThrift;
  ProbeTable* probes = nullptr;       // kAuto: shared with other workers; null: by oneself
  bool theader_zlib = false;          // kTHeader: requests are deflated
  uint32_t mux_fragment = INT32_MAX;  // the largest piece of a reply that is wanted from a peer
  // Whether connections go over to TLS in the handshake of mux, by what their Connector secures
  // them with. kRequired: nothing but mux is spoken, and with none that does not.
  mux::TlsLevel mux_tls = mux::TlsLevel::kOff;
  base::Duration ping_interval = std::chrono::seconds(5);  // of a mux session; 0: none
  base::Duration ping_timeout = std::chrono::seconds(4);
  bool strip_service_name = false;        // "userService:addUser" is sent as "addUser"
  uint32_t stream_threshold = 64 * 1024;  // a larger reply is not held until whole
  base::Duration body_idle_timeout = std::chrono::seconds(10);  // of a message in the middle
  size_t max_buffered_bytes =
      256 << 20;  // by all of this worker: past it large replies are refused
  // Calls at the same time on a connection that speaks `spoken`; kAuto: that may turn out to speak
  // mux. In Thrift only seqids tell the replies of many apart.
  uint32_t Places(Wire spoken) const {
    if (spoken == Wire::kMux || spoken == Wire::kAuto) return pool.mux_in_flight;
    return verify_seqid ? pool.max_in_flight : 1;
  }
  friend bool operator==(const Options&, const Options&) = default;
};

}  // namespace trestle::backend
