#include "naming/literal.h"

#include <arpa/inet.h>

namespace trestle::naming {

std::optional<std::string> LiteralIp(const std::string& host) {
  // inet_aton takes anything after a space, and C strings end at a zero byte.
  if (host.find_first_not_of("0123456789abcdefABCDEFxX.:[]") != std::string::npos) return {};
  char text[INET6_ADDRSTRLEN];
  in_addr v4;
  if (!host.empty() && inet_aton(host.c_str(), &v4)) {
    return inet_ntop(AF_INET, &v4, text, sizeof text);
  }
  bool brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
  in6_addr v6;
  if (inet_pton(AF_INET6, (brackets ? host.substr(1, host.size() - 2) : host).c_str(), &v6) == 1) {
    return inet_ntop(AF_INET6, &v6, text, sizeof text);
  }
  return {};
}

}  // namespace trestle::naming
