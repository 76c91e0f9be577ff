#include "net/address.h"

#include <arpa/inet.h>

namespace trestle::net {

base::Result<Address> Address::Parse(std::string_view ip, uint16_t port) {
  Address a;
  std::string text(ip);
  auto* v4 = reinterpret_cast<sockaddr_in*>(&a.storage_);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&a.storage_);
  if (inet_pton(AF_INET, text.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    return a;
  }
  if (inet_pton(AF_INET6, text.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    return a;
  }
  return base::Status(base::Code::kInvalid, "not an IP address: " + text);
}

Address Address::From(const sockaddr_storage& storage) {
  Address a;
  a.storage_ = storage;
  return a;
}

std::string Address::Ip() const {
  char text[INET6_ADDRSTRLEN] = "?";
  if (family() == AF_INET) {
    inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(&storage_)->sin_addr, text,
              sizeof text);
  } else if (family() == AF_INET6) {
    inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(&storage_)->sin6_addr, text,
              sizeof text);
  }
  return text;
}

uint16_t Address::port() const {
  if (family() == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in*>(&storage_)->sin_port);
  if (family() == AF_INET6) {
    return ntohs(reinterpret_cast<const sockaddr_in6*>(&storage_)->sin6_port);
  }
  return 0;
}

std::string Address::Show() const {
  if (family() == AF_INET6) return "[" + Ip() + "]:" + std::to_string(port());
  if (family() == AF_INET) return Ip() + ":" + std::to_string(port());
  return "?";
}

}  // namespace trestle::net
