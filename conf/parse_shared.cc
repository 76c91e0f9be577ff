#include <arpa/inet.h>

#include <algorithm>

#include "conf/parts.h"

namespace trestle::conf {

const char* NameOf(RouterProtocol protocol) {
  switch (protocol) {
    case RouterProtocol::kThrift:
      return "thrift";
    case RouterProtocol::kThriftMux:
      return "thriftmux";
    case RouterProtocol::kMux:
      return "mux";
  }
  return "";
}

Located<std::string> NeedText(Section* section, std::string_view name) {
  if (!section->Need(name)) return {};
  auto text = section->Text(name);
  return text ? *std::move(text) : Located<std::string>{};
}

bool IsHost(const std::string& text) {
  constexpr size_t kLongest = 253;
  char bytes[sizeof(in6_addr)];
  if (inet_pton(AF_INET6, text.c_str(), bytes) == 1) return true;
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
  };
  return !text.empty() && text.size() <= kLongest && std::all_of(text.begin(), text.end(), fits);
}

void RefuseOn(RouterProtocol protocol, Section* section, std::string_view name) {
  const auto item = section->Take(name);
  if (!item) return;
  section->Wrong(*item, std::string("has no meaning on a ") + NameOf(protocol) + " router");
}

std::optional<SocketOptions> MaybeSocketOptions(Section* section) {
  auto map = section->Map("socketOptions");
  if (!map) return std::nullopt;
  SocketOptions options;
  options.no_delay = map->Flag("noDelay", options.no_delay);
  options.reuse_addr = map->Flag("reuseAddr", options.reuse_addr);
  options.reuse_port = map->Flag("reusePort", options.reuse_port);
  options.keep_alive = map->Flag("keepAlive", options.keep_alive);
  if (const auto backlog = map->MaybeWhole("backlog", 1, 65'535)) {
    options.backlog = static_cast<int>(*backlog);
  }
  options.read_timeout = map->MaybeTime("readTimeoutMs", 1);
  options.write_timeout = map->MaybeTime("writeTimeoutMs", 1);
  map->Done();
  return options;
}

std::optional<SessionBounds> MaybeSessionBounds(Section* section, std::string_view name) {
  auto map = section->Map(name);
  if (!map) return std::nullopt;
  SessionBounds bounds;
  bounds.idle_time = map->MaybeTime("idleTimeMs", 1);
  bounds.life_time = map->MaybeTime("lifeTimeMs", 1);
  map->Done();
  return bounds;
}

NamePattern ReadPrefix(Section* section) {
  if (!section->Need("prefix")) return {};
  const auto text = section->Text("prefix");
  if (!text) return {};
  auto pattern = NamePattern::Parse(text->value);
  if (pattern.ok()) return *std::move(pattern);
  section->findings()->Wrong(text->line, text->key, pattern.status().message());
  return {};
}

}  // namespace trestle::conf
