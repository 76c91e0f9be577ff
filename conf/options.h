// What holds for one name: the matching entries of `client` and `service` put together.
//
// All entries whose prefix matches count, in the order of the file; of a key that several of them
// have, the last one's value is taken whole (a map too, as in Linkerd: its keys are not mixed).
//
// Lifetime, threading: pure functions. Errors: none.
#pragma once

#include <string_view>

#include "conf/config.h"

namespace trestle::conf {

// `id`: the concrete name, as "/#/io.l5d.fs/users".
ClientOptions ResolveClient(const ClientConfig& config, const naming::Path& id);
// `logical`: the name of the call, as "/svc/users".
ServiceOptions ResolveService(const ServiceConfig& config, const naming::Path& logical);

// Whether a call may be sent again after it was written. `message_name`: as on the wire, "getUser"
// or "userService:getUser".
bool IsIdempotent(const ServiceOptions& service, std::string_view message_name);

}  // namespace trestle::conf
