// The parts of a configuration file, a function each: a Section in, a struct out.
//
// Lifetime, threading: pure. Errors: into the Findings of the section, with defaults in their
// place.
#pragma once

#include <optional>
#include <vector>

#include "conf/config.h"
#include "conf/section.h"

namespace trestle::conf {

// parse_admin.cc
AdminConfig ReadAdmin(std::optional<Section> section);
std::vector<PrometheusConfig> ReadTelemetry(Section* top);
// parse_namer.cc
std::vector<NamerConfig> ReadNamers(Section* top);
// parse_router.cc; nothing for a router of a protocol that is not supported
std::optional<RouterConfig> ReadRouter(Section section);
// parse_announcer.cc
std::vector<AnnouncerConfig> ReadAnnouncers(Section* router);
// The names of a server: its key announce.
std::vector<Located<naming::Path>> ReadAnnounce(Section* server);
// parse_server.cc
ServerConfig ReadServer(Section section, RouterProtocol protocol);
// parse_client.cc; `protocol`: of the router
ClientConfig ReadClient(std::optional<Section> section, RouterProtocol protocol);
// parse_service.cc
ServiceConfig ReadService(std::optional<Section> section);

// parse_zookeeper.cc: zkAddrs, chroot, sessionTimeoutMs, readOnly and authInfo, wherever they stand
ZkClusterConfig ReadZkCluster(Section* section);

// parse_tls.cc
std::optional<ServerTlsConfig> ReadServerTls(std::optional<Section> section,
                                             RouterProtocol protocol);
// `prefix`: of the entry; its captures may stand in commonName.
std::optional<ClientTlsConfig> ReadClientTls(std::optional<Section> section,
                                             const NamePattern& prefix);
OverridesConfig ReadOverrides(std::optional<Section> section);

// parse_shared.cc: what several parts have
// A text that must be there; line 0: it is not, and that was told.
Located<std::string> NeedText(Section* section, std::string_view name);
// "thrift", "thriftmux", "mux".
const char* NameOf(RouterProtocol protocol);
// A host name or an address, without a port.
bool IsHost(const std::string& text);
// A key that means something on routers of another protocol only: a problem, unless it is nothing.
void RefuseOn(RouterProtocol protocol, Section* section, std::string_view name);
std::optional<SocketOptions> MaybeSocketOptions(Section* section);
std::optional<SessionBounds> MaybeSessionBounds(Section* section, std::string_view name);
// The prefix of an entry of io.l5d.static.
NamePattern ReadPrefix(Section* section);

// check.cc: what no part can see alone: two labels, sockets or pages that are equal, calls without
// a bound
void CheckWhole(const Config& config, Findings* findings);
// check_announce.cc: what is announced has an announcer, and an address that others can reach
void CheckAnnounce(const Config& config, Findings* findings);

}  // namespace trestle::conf
