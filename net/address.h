// Address: an IP address and a port.
//
// Lifetime, threading: a value. Errors: Parse tells what is wrong.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace trestle::net {

class Address {
 public:
  Address() = default;
  // `ip` is a literal ("127.0.0.1", "::1"); no name is looked up.
  static base::Result<Address> Parse(std::string_view ip, uint16_t port);
  static Address From(const sockaddr_storage& storage);

  // "127.0.0.1:80", "[::1]:80"; "?" when unset.
  std::string Show() const;
  std::string Ip() const;
  uint16_t port() const;
  int family() const { return storage_.ss_family; }
  const sockaddr* sockaddr_ptr() const { return reinterpret_cast<const sockaddr*>(&storage_); }
  socklen_t length() const {
    return family() == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  }

 private:
  sockaddr_storage storage_{};
};

}  // namespace trestle::net
