// Any text as a configuration file: it is read or refused, in bounded time, and what was read can
// be asked for the options of a name.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "conf/options.h"
#include "conf/parse.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace trestle::conf;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const Parsed parsed = Parse(text, "f");
  ShowAll(parsed.problems);
  ShowAll(parsed.warnings);
  // Whatever is wrong with a file, its text is not all of a long list.
  if (parsed.problems.size() > 110) std::abort();
  if (parsed.ok() && parsed.config.routers.empty()) std::abort();
  const trestle::naming::Path id(std::vector<std::string>{"#", "io.l5d.fs", "users-v2"});
  for (const RouterConfig& router : parsed.config.routers) {
    if (parsed.ok() && router.servers.empty()) std::abort();
    ResolveClient(router.client, id);
    IsIdempotent(ResolveService(router.service, id), "userService:getUser");
  }
  return 0;
}
