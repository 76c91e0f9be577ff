#include "conf/announced.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace trestle::conf {
namespace {

using Bytes = std::array<uint8_t, 16>;

// Of a literal, however it is written: IPv4 is put within IPv6, "::ffff:0:0/96".
std::optional<Bytes> BytesOf(const std::string& host) {
  Bytes bytes{};
  if (inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1) return bytes;
  in_addr v4{};
  if (inet_aton(host.c_str(), &v4) == 0) return std::nullopt;  // as resolvers do: "0" is one, too
  std::memcpy(bytes.data() + 12, &v4, sizeof v4);
  bytes[10] = bytes[11] = 0xff;
  return bytes;
}

bool AreZero(const Bytes& bytes, size_t begin, size_t end) {
  return std::all_of(bytes.begin() + begin, bytes.begin() + end, [](uint8_t b) { return b == 0; });
}

// IPv4 within IPv6: mapped, or as it was before that ("::127.0.0.1").
bool HoldsV4(const Bytes& bytes) {
  return AreZero(bytes, 0, 10) &&
         ((bytes[10] == 0xff && bytes[11] == 0xff) || AreZero(bytes, 10, 12));
}

// Whether who reaches `host` reaches what listens on every address of the family of `ip`: "::"
// takes IPv4 too.
bool IsReachedBy(std::string_view host, std::string_view ip) {
  return ip == "::" || host.find(':') == std::string_view::npos;
}

}  // namespace

bool IsLoopback(std::string_view host) {
  if (host == "localhost") return true;
  const auto bytes = BytesOf(std::string(host));
  if (!bytes) return false;
  return (AreZero(*bytes, 0, 15) && bytes->back() == 1) || (HoldsV4(*bytes) && (*bytes)[12] == 127);
}

bool IsUnspecified(std::string_view host) {
  const auto bytes = BytesOf(std::string(host));
  return bytes && HoldsV4(*bytes) && AreZero(*bytes, 12, 16);
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
