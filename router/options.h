// From the configuration's structs to those of server, backend and net, with each worker's share of
// what the configuration says for the whole process.
//
// Lifetime, threading: pure functions. Errors: none.
#pragma once

#include <cstdint>

#include "backend/options.h"
#include "conf/config.h"
#include "net/tcp_transport.h"
#include "server/options.h"

namespace trestle::router {

// The share of worker `index` of `workers`: at least 1, the remainder to the first ones.
uint32_t ShareOf(uint32_t total, uint32_t index, uint32_t workers);

net::SocketOptions ToSocketOptions(const conf::SocketOptions& options);
// `process`: what is the same for all routers, of which `router` is one.
server::Options ToServerOptions(const conf::Config& process, const conf::RouterConfig& router,
                                const conf::ServerConfig& server, uint32_t index, uint32_t workers);
backend::Options ToBackendOptions(const conf::Config& process, const conf::RouterConfig& router,
                                  const conf::ClientOptions& client, uint32_t index,
                                  uint32_t workers);

}  // namespace trestle::router
