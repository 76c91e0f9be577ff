#include <algorithm>

#include "conf/parts.h"

namespace trestle::conf {
namespace {

constexpr uint16_t kZkPort = 2181;

// "host:port,host:port".
std::string ReadHosts(Section* section) {
  std::string hosts;
  for (const Item& item : section->List("zkAddrs")) {
    Section one(item, section->findings());
    const Located<std::string> host = NeedText(&one, "host");
    const Located<uint16_t> port = one.Port("port", kZkPort);
    const bool v6 = host.value.find(':') != std::string::npos;
    const bool brackets = v6 && host.value.front() == '[' && host.value.back() == ']';
    const std::string bare = brackets ? host.value.substr(1, host.value.size() - 2) : host.value;
    if (host.line > 0 && !IsHost(bare)) {
      section->findings()->Wrong(host.line, host.key,
                                 "must be a host name or an address, without a port, is \"" +
                                     host.value.substr(0, 60) + "\"");
    }
    if (port.value == 0) section->findings()->Wrong(port.line, port.key, "must not be 0");
    hosts += (hosts.empty() ? "" : ",") + (v6 ? "[" + bare + "]" : bare) + ":" +
             std::to_string(port.value);
    one.Done();
  }
  return hosts;
}

// A path as ZooKeeper takes it, and as it can stand behind its hosts.
bool IsChroot(const std::string& text) {
  if (text.size() < 2 || text[0] != '/' || text.back() == '/') return false;
  for (size_t at = 0; at != std::string::npos;) {
    const size_t end = text.find('/', at + 1);
    const std::string znode = text.substr(at + 1, end == std::string::npos ? end : end - at - 1);
    if (znode.empty() || znode == "." || znode == "..") return false;
    at = end;
  }
  return std::none_of(text.begin(), text.end(),
                      [](char c) { return c <= ' ' || c >= 0x7f || c == ','; });
}

void ReadAuth(Section auth, ZkClusterConfig* out) {
  const Located<std::string> scheme = NeedText(&auth, "scheme");
  const Located<std::string> text = NeedText(&auth, "auth");
  // Of the others that ZooKeeper has, "ip" and "world" need none, and "x509" and "sasl" come with
  // the connection.
  if (scheme.line > 0 && scheme.value != "digest") {
    auth.findings()->Wrong(scheme.line, scheme.key,
                           "must be digest, is \"" + scheme.value.substr(0, 60) + "\"");
  }
  const size_t colon = text.value.find(':');
  if (text.line > 0 && (colon == std::string::npos || colon == 0)) {
    auth.findings()->Wrong(text.line, text.key, "must be user:password");
  }
  out->auth_scheme = scheme.value;
  out->auth = text.value;
  auth.Done();
}

}  // namespace

ZkClusterConfig ReadZkCluster(Section* section) {
  ZkClusterConfig out;
  const auto addrs = section->Need("zkAddrs");
  out.hosts = ReadHosts(section);
  if (addrs && out.hosts.empty()) section->Wrong(*addrs, "names no host");
  if (const auto chroot = section->Text("chroot")) {
    if (!IsChroot(chroot->value)) {
      section->findings()->Wrong(chroot->line, chroot->key, "is no path like /trestle");
    }
    out.hosts += chroot->value;
  }
  out.session_timeout = section->Time("sessionTimeoutMs", 1000, out.session_timeout);
  out.read_only = section->Flag("readOnly", false);
  if (auto auth = section->Map("authInfo")) ReadAuth(*std::move(auth), &out);
  return out;
}

}  // namespace trestle::conf
