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
    const uint16_t port = one.Port("port", kZkPort).value;
    if (host.value.find_first_of(",/ ") != std::string::npos) {
      section->findings()->Wrong(host.line, host.key, "no name of one host");
    }
    const bool v6 = host.value.find(':') != std::string::npos && host.value[0] != '[';
    hosts += (hosts.empty() ? "" : ",") + (v6 ? "[" + host.value + "]" : host.value) + ":" +
             std::to_string(port);
    one.Done();
  }
  return hosts;
}

}  // namespace

ZkClusterConfig ReadZkCluster(Section* section) {
  ZkClusterConfig out;
  section->Need("zkAddrs");
  out.hosts = ReadHosts(section);
  if (out.hosts.empty()) {
    section->findings()->Wrong(section->line(), section->KeyOf("zkAddrs"), "names no host");
  }
  if (const auto chroot = section->Text("chroot")) {
    const bool bad = chroot->value.size() < 2 || chroot->value[0] != '/' ||
                     chroot->value.back() == '/' || chroot->value.find("//") != std::string::npos;
    if (bad) section->findings()->Wrong(chroot->line, chroot->key, "is no path like /trestle");
    out.hosts += chroot->value;
  }
  out.session_timeout = section->Time("sessionTimeoutMs", 1000, out.session_timeout);
  out.read_only = section->Flag("readOnly", false);
  if (auto auth = section->Map("authInfo")) {
    out.auth_scheme = NeedText(&*auth, "scheme").value;
    out.auth = NeedText(&*auth, "auth").value;
    auth->Done();
  }
  return out;
}

}  // namespace trestle::conf
