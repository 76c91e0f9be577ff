#include <algorithm>
#include <string>

#include "conf/announced.h"
#include "conf/parts.h"

namespace trestle::conf {
namespace {

using Name = Located<naming::Path>;

// Why nobody takes the name.
std::string NoAnnouncer(const RouterConfig& router, const naming::Path& name) {
  if (name.empty() || name[0] != "#") {
    return "a name to announce begins with /#/ and the prefix of an announcer, as in "
           "/#/io.l5d.serversets/users; is " +
           name.Show();
  }
  if (router.announcers.empty()) {
    return "the router has no announcers, so nobody takes " + name.Show();
  }
  std::string prefixes;
  for (const AnnouncerConfig& announcer : router.announcers) {
    prefixes += (prefixes.empty() ? "" : ", ") + announcer.prefix.Show();
  }
  return "no announcer of the router takes " + name.Show() + "; there are " + prefixes;
}

// Whether others can reach what would be announced.
void CheckAddress(const AnnouncerConfig& announcer, const ServerConfig& server, const Name& name,
                  Findings* findings) {
  if (!announcer.advertised_host.empty()) return;
  const std::string& ip = server.ip.value;
  const std::string set = "set " + announcer.key + ".advertisedHost";
  if (IsUnspecified(ip)) {
    findings->Wrong(server.ip.line, server.ip.key,
                    ip + " is no address to announce; " + set +
                        " to the host or the address by which others reach this machine");
  } else if (IsLoopback(ip)) {
    findings->Warn(name.line, name.key,
                   name.value.Show() + " is announced with " + ip +
                       ", which only this machine can reach; " + set + " or the server's ip");
  }
}

// It was asked for; else it is left out if nobody can reach it.
void CheckAdmin(const AnnouncerConfig& announcer, const ServerConfig& server,
                const AdminConfig& admin, Findings* findings) {
  if (announcer.announce_admin != true || AnnouncedAdminHost(announcer, server, admin.ip.value)) {
    return;
  }
  findings->Wrong(announcer.line, announcer.key + ".announceAdmin",
                  "who reaches " + AnnouncedHost(announcer, server) +
                      " does not reach the admin server at " + admin.ip.value + "; set admin.ip");
}

void CheckServer(const Config& config, const RouterConfig& router, const ServerConfig& server,
                 Findings* findings) {
  std::vector<const AnnouncerConfig*> told;  // each once for a server
  for (const Name& name : server.announce) {
    const auto takers = AnnouncersOf(router, name.value);
    if (takers.empty()) findings->Wrong(name.line, name.key, NoAnnouncer(router, name.value));
    for (const AnnouncerConfig* announcer : takers) {
      if (name.value.size() == announcer->prefix.size()) {
        findings->Wrong(name.line, name.key,
                        "names no znode: something must follow " + name.value.Show());
        continue;
      }
      if (std::find(told.begin(), told.end(), announcer) != told.end()) continue;
      told.push_back(announcer);
      CheckAddress(*announcer, server, name, findings);
      CheckAdmin(*announcer, server, config.admin, findings);
    }
  }
}

}  // namespace

void CheckAnnounce(const Config& config, Findings* findings) {
  for (const RouterConfig& router : config.routers) {
    for (const ServerConfig& server : router.servers) {
      CheckServer(config, router, server, findings);
    }
  }
}

}  // namespace trestle::conf
