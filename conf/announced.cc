#include "conf/announced.h"

namespace trestle::conf {
namespace {

constexpr std::string_view kMapped = "::ffff:";  // IPv4 within IPv6, as inet_ntop writes it

std::string_view WithoutMapping(std::string_view host) {
  if (host.starts_with(kMapped)) host.remove_prefix(kMapped.size());
  return host;
}

// Whether who reaches `host` reaches what listens on every address of the family of `ip`: "::"
// takes IPv4 too.
bool IsReachedBy(std::string_view host, std::string_view ip) {
  return ip == "::" || host.find(':') == std::string_view::npos;
}

}  // namespace

bool IsLoopback(std::string_view host) {
  const std::string_view ip = WithoutMapping(host);
  const bool is_v4 = ip.find_first_not_of("0123456789.") == std::string_view::npos;
  return host == "localhost" || host == "::1" || (is_v4 && ip.starts_with("127."));
}

bool IsUnspecified(std::string_view host) {
  return host == "::" || WithoutMapping(host) == "0.0.0.0";
}

std::vector<const AnnouncerConfig*> AnnouncersOf(const RouterConfig& router,
                                                 const naming::Path& name) {
  std::vector<const AnnouncerConfig*> all;
  for (const AnnouncerConfig& announcer : router.announcers) {
    if (name.StartsWith(announcer.prefix)) all.push_back(&announcer);
  }
  return all;
}

std::string AnnouncedSet(const AnnouncerConfig& announcer, const naming::Path& name) {
  std::string set;
  const naming::Path rest = name.Drop(announcer.prefix.size());
  for (const naming::Path& part : {announcer.path_prefix, rest}) {
    for (const std::string& label : part.labels()) set += "/" + label;
  }
  return set;
}

const std::string& AnnouncedHost(const AnnouncerConfig& announcer, const ServerConfig& server) {
  return announcer.advertised_host.empty() ? server.ip.value : announcer.advertised_host;
}

std::optional<std::string> AnnouncedAdminHost(const AnnouncerConfig& announcer,
                                              const ServerConfig& server,
                                              const std::string& admin_ip) {
  if (announcer.announce_admin == false) return std::nullopt;
  const std::string& host = AnnouncedHost(announcer, server);
  if (IsLoopback(admin_ip)) {
    return IsLoopback(host) ? std::optional(admin_ip) : std::nullopt;
  }
  if (IsUnspecified(admin_ip)) {
    return IsReachedBy(host, admin_ip) ? std::optional(host) : std::nullopt;
  }
  return admin_ip == server.ip.value ? host : admin_ip;
}

}  // namespace trestle::conf
