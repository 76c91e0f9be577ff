#include "conf/parts.h"

namespace trestle::conf {
namespace {

constexpr uint32_t kMostPipelined = 10'000;
constexpr uint32_t kMostConnections = 10'000'000;
constexpr uint32_t kLeastHeld = 4096, kMostHeld = 1u << 30;
constexpr uint32_t kAnyNumber = 2'147'483'647;
constexpr uint32_t kMostDispatches = 1'000'000;
constexpr uint32_t kLeastFragment = 1024;

// Linkerd's.
uint16_t DefaultPort(RouterProtocol protocol) {
  switch (protocol) {
    case RouterProtocol::kThrift:
      return 4114;
    case RouterProtocol::kThriftMux:
      return 4144;
    case RouterProtocol::kMux:
      return 4141;
  }
  return 0;
}

MuxServerConfig ReadMux(std::optional<Section> section) {
  MuxServerConfig mux;
  if (!section) return mux;
  mux.max_dispatches = section->Whole("maxDispatches", 1, kMostDispatches, mux.max_dispatches);
  mux.max_fragment_bytes =
      section->Whole("maxFragmentBytes", kLeastFragment, kAnyNumber, mux.max_fragment_bytes);
  section->Done();
  return mux;
}

// What clients of this port speak, beside what the router's protocol says.
void ReadDialect(Section* section, RouterProtocol protocol, ServerConfig* server) {
  if (protocol == RouterProtocol::kMux) {
    RefuseOn(protocol, section, "thriftFramed");
  } else {
    server->thrift_framed = section->MaybeFlag("thriftFramed");
  }
  if (protocol == RouterProtocol::kThrift) {
    RefuseOn(protocol, section, "mux");
  } else {
    server->mux = ReadMux(section->Map("mux"));
  }
}

}  // namespace

ServerConfig ReadServer(Section section, RouterProtocol protocol) {
  ServerConfig server;
  server.ip = section.Ip("ip", server.ip.value);
  server.port = section.Port("port", DefaultPort(protocol));
  if (auto label = section.Label("label")) server.label = std::move(label->value);
  server.max_concurrent_requests = section.MaybeWhole("maxConcurrentRequests", 1, kAnyNumber);
  server.clear_context = section.Flag("clearContext", server.clear_context);
  ReadDialect(&section, protocol, &server);
  server.announce = ReadAnnounce(&section);
  if (auto dest = section.PathOf("dest")) server.dest = std::move(dest->value);
  server.max_pipelined = section.Whole("maxPipelined", 1, kMostPipelined, server.max_pipelined);
  server.max_connections =
      section.Whole("maxConnections", 1, kMostConnections, server.max_connections);
  server.max_connection_bytes =
      section.Whole("maxConnectionBytes", kLeastHeld, kMostHeld, server.max_connection_bytes);
  server.max_pending_bindings =
      section.Whole("maxPendingBindings", 1, kMostPipelined, server.max_pending_bindings);
  server.on_half_close = section.Word("onHalfClose", {"serve", "cancel"}, 0) == 0
                             ? OnHalfClose::kServe
                             : OnHalfClose::kCancel;
  server.half_close_timeout = section.Time("halfCloseTimeoutMs", 0, server.half_close_timeout);
  server.socket_options = MaybeSocketOptions(&section).value_or(SocketOptions{});
  server.server_session = MaybeSessionBounds(&section, "serverSession").value_or(SessionBounds{});
  section.RefuseNothing("tls");
  section.RefuseNothing("allow");
  server.tls = ReadServerTls(section.Map("tls"), protocol);
  if (const auto allow = section.Take("allow")) {
    server.allow = section.Words("allow");
    const bool known = server.tls && server.tls->require_client_auth;
    if (!known) section.Wrong(*allow, "needs tls.requireClientAuth: nobody else has an identity");
    if (known && server.tls->opportunistic == OpportunisticTls::kDesired) {
      section.Wrong(*allow,
                    "needs tls.opportunistic: required: who stays in clear text has no "
                    "identity");
    }
  }
  section.Done({{"timeoutMs"}});
  return server;
}

}  // namespace trestle::conf
