// What others are told of a server that is announced: in which znode, and which addresses.
//
// Lifetime, threading: pure. Errors: none; CheckAnnounce has told what cannot be announced.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conf/config.h"

namespace trestle::conf {

// Of a literal, IPv4, IPv6 or IPv4 within IPv6; a name is neither, but for localhost.
bool IsLoopback(std::string_view host);
bool IsUnspecified(std::string_view host);

// Those of `router` that take the name: all whose prefix it begins with.
std::vector<const AnnouncerConfig*> AnnouncersOf(const RouterConfig& router,
                                                 const naming::Path& name);

// The znode that members are put below: "/discovery/users".
std::string AnnouncedSet(const AnnouncerConfig& announcer, const naming::Path& name);

const std::string& AnnouncedHost(const AnnouncerConfig& announcer, const ServerConfig& server);

// Where the admin server, which listens on `admin_ip`, is reached by whoever reaches the server.
// Nothing if it is not, or not to be announced.
std::optional<std::string> AnnouncedAdminHost(const AnnouncerConfig& announcer,
                                              const ServerConfig& server,
                                              const std::string& admin_ip);

}  // namespace trestle::conf
