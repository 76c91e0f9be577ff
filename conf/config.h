// Config: what a configuration file says, with every default filled in. Linkerd's keys, and ours.
//
// A struct is a map of the file; the name of a member is the name of its key in this style, without
// its unit (bindingTimeoutMs is binding_timeout). docs/config.md tells what every key does.
// Two structs are equal when they ask for the same, wherever in the file it is written.
//
// Lifetime, threading: values, never changed once parsed. Errors: none here; see parse.h.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "conf/name_pattern.h"
#include "conf/problem.h"
#include "naming/dtab.h"
#include "naming/path.h"
#include "thrift/message.h"

namespace trestle::conf {

using Millis = std::chrono::milliseconds;

struct SocketOptions {
  bool no_delay = true;
  bool reuse_addr = true;
  bool reuse_port = false;
  bool keep_alive = false;
  std::optional<int> backlog;           // of a server; none: the system's bound
  std::optional<Millis> read_timeout;   // no byte came for so long: closed
  std::optional<Millis> write_timeout;  // what is written did not leave for so long: closed
  friend bool operator==(const SocketOptions&, const SocketOptions&) = default;
};

// How long a connection may be idle, and live; none: for ever.
struct SessionBounds {
  std::optional<Millis> idle_time;
  std::optional<Millis> life_time;
  friend bool operator==(const SessionBounds&, const SessionBounds&) = default;
};

struct AdminConfig {
  Located<std::string> ip{"127.0.0.1", 0, "admin.ip"};  // always a literal, IPv4 or IPv6
  Located<uint16_t> port{9990, 0, "admin.port"};        // 0: a free one
  Millis shutdown_grace{10'000};
  friend bool operator==(const AdminConfig&, const AdminConfig&) = default;
};

// Which ZooKeeper, and how to speak to it.
struct ZkClusterConfig {
  std::string hosts;               // "zk1:2181,zk2:2181/chroot": zkAddrs, and ours: chroot
  Millis session_timeout{10'000};  // ours for namers
  std::string auth_scheme, auth;
  bool read_only = false;  // ours: a server without its ensemble will do
  friend bool operator==(const ZkClusterConfig&, const ZkClusterConfig&) = default;
};

// Of a namer of kind io.l5d.serversets: how its sets are followed.
struct ServersetsConfig {
  std::vector<ZkClusterConfig> clusters;  // never empty in a Config without problems
  Located<std::string> cache_dir;         // ours: where good sets are kept; empty: nowhere
  Millis stabilization{0};                // ours: how long a removal is held back
  double min_retained = 0.5;              // ours: of what a set had within the hold so much stays
  Millis retained_hold{10'000};
  friend bool operator==(const ServersetsConfig&, const ServersetsConfig&) = default;
};

// An entry of namers. The last one of the list is asked first.
struct NamerConfig {
  enum class Kind { kFs, kRewrite, kServersets };
  Kind kind = Kind::kFs;
  naming::Path prefix;            // with the "/#" in front: "/#/io.l5d.fs"
  Located<std::string> root_dir;  // kFs; as written: not checked here that it can be read
  Located<std::string> pattern;   // kRewrite: "/{host}/x"
  Located<std::string> name;      // kRewrite: "/svc/{host}"
  ServersetsConfig serversets;    // kServersets
  friend bool operator==(const NamerConfig&, const NamerConfig&) = default;
};

// An entry of routers[].announcers, of kind io.l5d.serversets: where servers make themselves known.
struct AnnouncerConfig {
  int line = 0;         // of its first key
  std::string key;      // "routers[0].announcers[0]"
  naming::Path prefix;  // of the names that it takes, with the "/#" in front
  ZkClusterConfig cluster;
  naming::Path path_prefix{std::vector<std::string>{"discovery"}};  // above the znodes
  std::string advertised_host;         // ours: how others reach this machine; empty: by the ip
  uint32_t shard = 0;                  // ours
  std::optional<bool> announce_admin;  // ours; none: if somebody can reach it
};

// telemetry of kind io.l5d.prometheus: the page that shows the metrics.
struct PrometheusConfig {
  Located<std::string> path{"/admin/metrics/prometheus", 0, ""};
  std::string prefix;  // put before every metric's name
  friend bool operator==(const PrometheusConfig&, const PrometheusConfig&) = default;
};

struct BindingCacheConfig {
  uint32_t paths = 1000;
  uint32_t trees = 1000;
  uint32_t bounds = 1000;
  uint32_t clients = 1000;
  uint32_t negatives = 1000;    // ours: names that lead nowhere
  uint32_t local_dtabs = 1000;  // ours: names bound under a dtab of one request
  uint32_t pending = 1000;      // ours: names that are not bound yet
  Millis idle_ttl{600'000};
  friend bool operator==(const BindingCacheConfig&, const BindingCacheConfig&) = default;
};

// What clients of a router speak. On a ThriftMux port plain Thrift clients are served too.
enum class RouterProtocol : uint8_t { kThrift, kThriftMux, kMux };

// ours: bounds of a client's mux session.
struct MuxServerConfig {
  uint32_t max_dispatches = 10'000;  // calls of one session at the same time; past it: nacks
  uint32_t max_fragment_bytes = 2'147'483'647;  // largest body of a frame that clients shall send
  friend bool operator==(const MuxServerConfig&, const MuxServerConfig&) = default;
};

// TLS inside the handshake of mux: whether a session goes over to it. kRequired: or ends.
enum class OpportunisticTls : uint8_t { kOff, kDesired, kRequired };

// PEM files; a key is PKCS#1 or PKCS#8.
struct CertificateConfig {
  Located<std::string> cert_path, key_path;
  std::vector<Located<std::string>> intermediate_certs_paths;
  friend bool operator==(const CertificateConfig&, const CertificateConfig&) = default;
};

// "TLSv1.2", "TLSv1.3"; older ones only if they are named.
using TlsProtocols = std::vector<std::string>;

struct ServerTlsConfig {
  std::vector<CertificateConfig> certificates;  // ours: more than one, chosen by SNI; never empty
  bool require_client_auth = false;
  Located<std::string> ca_cert_path;  // whose clients are known; empty: none is asked
  TlsProtocols protocols{"TLSv1.2", "TLSv1.3"};
  bool optional = false;                                    // ours: clear text on the same port too
  OpportunisticTls opportunistic = OpportunisticTls::kOff;  // ours; else TLS from the first byte
  Millis handshake_timeout{5'000};                          // ours
  uint32_t max_handshakes = 1'000;  // ours: at the same time; more connections wait
  friend bool operator==(const ServerTlsConfig&, const ServerTlsConfig&) = default;
};

struct ClientTlsConfig {
  bool enabled = true;
  bool disable_validation = false;
  Located<std::string> common_name;  // with {captures} of the entry's prefix; filled in options.h
  bool allow_common_name = false;    // ours: certificates without a SAN are known by their CN
  std::vector<Located<std::string>> trust_certs;  // empty: the system's
  std::optional<CertificateConfig> client_auth;
  TlsProtocols protocols{"TLSv1.2", "TLSv1.3"};
  OpportunisticTls opportunistic = OpportunisticTls::kOff;  // ours; else TLS from the first byte
  friend bool operator==(const ClientTlsConfig&, const ClientTlsConfig&) = default;
};

// ours: who may send a dtab for one request, and what it may say.
struct OverridesConfig {
  std::optional<std::vector<std::string>> allow;        // patterns of identities; none: everybody
  std::optional<std::vector<naming::Prefix>> prefixes;  // what entries may begin with; none: all
  friend bool operator==(const OverridesConfig&, const OverridesConfig&) = default;
};

// What happens to the calls of a client that closed its sending side.
enum class OnHalfClose : uint8_t { kServe, kCancel };

struct ServerConfig {
  Located<std::string> ip{"127.0.0.1", 0, ""};      // always a literal, IPv4 or IPv6
  Located<uint16_t> port{4114, 0, ""};              // 0: a free one; 4144 thriftmux, 4141 mux
  std::string label;                                // may be empty
  std::optional<uint32_t> max_concurrent_requests;  // of the whole process; none: no bound
  bool clear_context = false;
  std::optional<bool> thrift_framed;  // none: told from each connection's bytes; none on kMux
  MuxServerConfig mux;                // at its defaults on kThrift
  std::vector<Located<naming::Path>> announce;  // the names to be announced by: "/#/io.l5d.…/users"
  std::optional<ServerTlsConfig> tls;
  std::optional<std::vector<std::string>> allow;  // ours: patterns of identities; none: everybody
  std::optional<naming::Path> dest;   // ours: put between dstPrefix and the rest of a call's name
  uint32_t max_pipelined = 32;        // ours: calls of one connection at the same time
  uint32_t max_connections = 10'000;  // ours; of the whole process
  uint32_t max_connection_bytes = 1 << 20;  // ours: replies held for one connection
  uint32_t max_pending_bindings = 8;  // ours: calls of one connection with a name not bound yet
  OnHalfClose on_half_close = OnHalfClose::kServe;  // ours
  Millis half_close_timeout{10'000};                // ours
  SocketOptions socket_options;
  SessionBounds server_session;
  friend bool operator==(const ServerConfig&, const ServerConfig&) = default;
};

struct PoolConfig {
  uint32_t min_size = 0;
  uint32_t max_size = 10'000;  // connections to one endpoint, of the whole process
  Millis idle_time{600'000};
  uint32_t max_waiters = 10'000;  // calls that wait for a connection to one endpoint
  // ours: calls on one connection at the same time; none: 1 where the connection speaks Thrift,
  // 65536 where it is a mux session.
  std::optional<uint32_t> max_in_flight = std::nullopt;
  friend bool operator==(const PoolConfig&, const PoolConfig&) = default;
};

struct BalancerConfig {
  enum class Kind { kP2c, kRoundRobin };
  Kind kind = Kind::kP2c;
  uint32_t max_effort = 5;  // picks of an endpoint that may find it out, before one is taken anyhow
  friend bool operator==(const BalancerConfig&, const BalancerConfig&) = default;
};

// How long to wait before the next try.
struct BackoffConfig {
  enum class Kind { kConstant, kJittered };
  Kind kind = Kind::kJittered;
  Millis min{5'000};  // kConstant: min == max
  Millis max{300'000};
  friend bool operator==(const BackoffConfig&, const BackoffConfig&) = default;
};

struct FailureAccrualConfig {
  enum class Kind { kNone, kConsecutiveFailures };
  Kind kind = Kind::kConsecutiveFailures;
  uint32_t failures = 5;
  BackoffConfig backoff;
  friend bool operator==(const FailureAccrualConfig&, const FailureAccrualConfig&) = default;
};

struct RetryBudgetConfig {
  uint32_t min_retries_per_sec = 10;
  double percent_can_retry = 0.2;  // retries per call: 0.2 is one for five calls
  Millis ttl{10'000};
  friend bool operator==(const RetryBudgetConfig&, const RetryBudgetConfig&) = default;
};

// ours: what a backend is spoken to in. kAuto: a probe tells kThriftMux from kThrift.
enum class ClientProtocol : uint8_t { kThrift, kTHeader, kThriftMux, kAuto };

// ours: bounds of a mux session with a backend.
struct MuxClientConfig {
  uint32_t max_fragment_bytes = 2'147'483'647;  // largest body of a frame that it shall send
  Millis ping_interval{5'000};                  // 0: no pings
  Millis ping_timeout{4'000};                   // a ping without an answer for so long: dead
  friend bool operator==(const MuxClientConfig&, const MuxClientConfig&) = default;
};

// What holds for one concrete name; ResolveClient() in options.h makes it.
struct ClientOptions {
  PoolConfig host_connection_pool;
  std::optional<Millis> request_attempt_timeout;
  BalancerConfig load_balancer;
  bool fail_fast = false;
  FailureAccrualConfig failure_accrual;
  RetryBudgetConfig requeue_budget;
  SessionBounds client_session;
  SocketOptions socket_options;
  Millis connect_timeout{1'000};  // ours
  bool verify_seqid = true;       // ours
  ClientProtocol protocol = ClientProtocol::kThrift;
  bool thrift_framed = true;
  bool attempt_ttwitter_upgrade = false;
  bool theader_zlib = false;  // ours: requests are compressed, where they have a THeader
  MuxClientConfig mux;
  bool strip_service_name = false;  // ours
  std::optional<ClientTlsConfig> tls;
  friend bool operator==(const ClientOptions&, const ClientOptions&) = default;
};

// What holds for one logical name; ResolveService() in options.h makes it.
struct ServiceOptions {
  std::optional<Millis> total_timeout;
  // ours: calls that may be sent again once written: "getUser", "userService:getUser",
  // "userService:*", "*". IsIdempotent() in options.h reads it.
  std::vector<std::string> idempotent_methods;
  friend bool operator==(const ServiceOptions&, const ServiceOptions&) = default;
};

// One entry of `client` as written: a key that is not there leaves what earlier entries said.
struct ClientEntry {
  NamePattern prefix;
  std::optional<PoolConfig> host_connection_pool;
  std::optional<Millis> request_attempt_timeout;
  std::optional<BalancerConfig> load_balancer;
  std::optional<bool> fail_fast;
  std::optional<FailureAccrualConfig> failure_accrual;
  std::optional<RetryBudgetConfig> requeue_budget;
  std::optional<SessionBounds> client_session;
  std::optional<SocketOptions> socket_options;
  std::optional<Millis> connect_timeout;
  std::optional<bool> verify_seqid;
  std::optional<ClientProtocol> protocol;
  std::optional<bool> thrift_framed;
  std::optional<bool> attempt_ttwitter_upgrade;
  std::optional<bool> theader_zlib;
  std::optional<MuxClientConfig> mux;
  std::optional<bool> strip_service_name;
  std::optional<ClientTlsConfig> tls;
  friend bool operator==(const ClientEntry&, const ClientEntry&) = default;
};

// io.l5d.global is one entry that matches every name; io.l5d.static is as many as it lists.
struct ClientConfig {
  std::vector<ClientEntry> entries;
  // Where no entry says one; of a mux router kThriftMux.
  ClientProtocol protocol = ClientProtocol::kThrift;
  friend bool operator==(const ClientConfig&, const ClientConfig&) = default;
};

struct ServiceEntry {
  NamePattern prefix;
  std::optional<Millis> total_timeout;
  std::optional<std::vector<std::string>> idempotent_methods;
  friend bool operator==(const ServiceEntry&, const ServiceEntry&) = default;
};

struct ServiceConfig {
  std::vector<ServiceEntry> entries;
  friend bool operator==(const ServiceConfig&, const ServiceConfig&) = default;
};

struct RouterConfig {
  int line = 0;     // of its first key
  std::string key;  // "routers[0]"
  RouterProtocol protocol = RouterProtocol::kThrift;
  Located<std::string> label{"thrift", 0, ""};  // without one: the protocol, as the file has it
  naming::Path dst_prefix{std::vector<std::string>{"svc"}};
  Located<naming::Dtab> dtab;  // line: where its text starts
  bool thrift_method_in_dst = false;
  std::optional<thrift::Protocol> thrift_protocol;  // none: told from each connection's bytes
  bool thrift_mux_dst_in_name = false;  // ours; kThriftMux: a dispatch's destination is its dest
  Millis binding_timeout{10'000};
  BindingCacheConfig binding_cache;
  uint32_t max_frame_bytes = 16'384'000;        // ours
  uint32_t stream_threshold_bytes = 64 * 1024;  // ours: a larger message is not held until whole
  Millis body_idle_timeout{10'000};             // ours: gaps in the middle of a message
  Millis deadline_tolerance{200};               // ours: so long past its deadline a call is served
  uint32_t max_hops = 16;                       // ours: routers that a call goes through
  std::vector<AnnouncerConfig> announcers;
  OverridesConfig overrides;          // ours
  std::vector<ServerConfig> servers;  // never empty in a Config without problems
  ClientConfig client;
  ServiceConfig service;
};

struct Config {
  std::optional<uint32_t> workers;          // ours; none: one for each core
  Millis dns_refresh{5'000};                // ours: how often names in use are resolved again
  uint64_t max_buffered_bytes = 256 << 20;  // ours: bytes of messages held in all
  AdminConfig admin;
  std::vector<NamerConfig> namers;
  std::vector<RouterConfig> routers;         // never empty in a Config without problems
  std::vector<PrometheusConfig> prometheus;  // without `telemetry`: one with the defaults
};

}  // namespace trestle::conf
