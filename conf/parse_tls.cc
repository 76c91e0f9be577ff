#include <algorithm>

#include "conf/parts.h"
#include "naming/label_pattern.h"
#include "net/address.h"

namespace trestle::conf {
namespace {

constexpr uint32_t kMostHandshakes = 1'000'000;
constexpr size_t kMostName = 253;

const std::vector<std::string_view> kOpportunistic = {"off", "desired", "required"};
const std::vector<std::string_view> kProtocols = {"TLSv1.3", "TLSv1.2", "TLSv1.1", "TLSv1"};

OpportunisticTls ReadOpportunistic(Section* section, bool mux) {
  const auto item = section->Take("opportunistic");
  const size_t word = section->Word("opportunistic", kOpportunistic, 0);
  if (word != 0 && !mux) {
    section->Wrong(*item, "is agreed upon in the handshake of mux, which is not spoken here");
    return OpportunisticTls::kOff;
  }
  return static_cast<OpportunisticTls>(word);
}

TlsProtocols ReadProtocols(Section* section, TlsProtocols fallback) {
  if (!section->Take("protocols")) return fallback;
  TlsProtocols protocols;
  for (const Item& item : section->List("protocols")) {
    const bool known =
        item.node->kind == YamlNode::Kind::kScalar &&
        std::find(kProtocols.begin(), kProtocols.end(), item.node->text) != kProtocols.end();
    if (known) {
      protocols.push_back(item.node->text);
    } else {
      section->Wrong(item,
                     "must be one of TLSv1.3, TLSv1.2, TLSv1.1, TLSv1, is " + Describe(*item.node));
    }
  }
  if (protocols.empty()) {
    section->findings()->Wrong(section->line(), section->KeyOf("protocols"), "names no protocol");
  }
  return protocols;
}

CertificateConfig ReadCertificate(Section* section) {
  CertificateConfig certificate;
  certificate.cert_path = NeedText(section, "certPath");
  certificate.key_path = NeedText(section, "keyPath");
  if (auto path = section->Text("intermediateCertsPath")) {
    certificate.intermediate_certs_paths.push_back(*std::move(path));
  }
  return certificate;
}

std::vector<Located<std::string>> Texts(Section* section, std::string_view name) {
  std::vector<Located<std::string>> texts;
  for (const Item& item : section->List(name)) {
    if (item.node->kind == YamlNode::Kind::kScalar && !item.node->text.empty()) {
      texts.push_back({item.node->text, item.line, item.key});
    } else {
      section->Wrong(item, "must be a path of a file, is " + Describe(*item.node));
    }
  }
  return texts;
}

// A name, perhaps with captures of `prefix`.
void CheckCommonName(const Located<std::string>& name, const NamePattern& prefix,
                     Findings* findings) {
  const auto pattern = naming::LabelPattern::Parse(name.value, false);
  if (!pattern.ok()) return findings->Wrong(name.line, name.key, pattern.status().message());
  const std::string_view text = name.value;
  const auto wrong = [&](const char* what) { findings->Wrong(name.line, name.key, what); };
  if (text.front() == '.' || text.back() == '.') wrong("begins or ends with a dot");
  if (text.size() > kMostName) wrong("is longer than the name of a host can be (253)");
  if (text.find(':') != std::string_view::npos && !net::Address::Parse(name.value, 0).ok()) {
    wrong("is neither the name of a host nor an address; ports do not belong here");
  }
  const std::vector<std::string> known = prefix.captures();
  for (const std::string& capture : pattern->names()) {
    if (std::find(known.begin(), known.end(), capture) != known.end()) continue;
    findings->Wrong(name.line, name.key,
                    "the prefix " + prefix.Show() + " has no capture {" + capture + "}");
  }
}

}  // namespace

std::optional<ServerTlsConfig> ReadServerTls(std::optional<Section> section,
                                             RouterProtocol protocol) {
  if (!section) return std::nullopt;
  ServerTlsConfig tls;
  const bool enabled = section->Flag("enabled", true);
  if (section->Take("certificates")) {
    for (const Item& item : section->List("certificates")) {
      Section one(item, section->findings());
      tls.certificates.push_back(ReadCertificate(&one));
      one.Done();
    }
    if (tls.certificates.empty()) {
      section->findings()->Wrong(section->line(), section->KeyOf("certificates"), "has none");
    }
  } else {
    tls.certificates.push_back(ReadCertificate(&*section));
  }
  const auto require = section->Take("requireClientAuth");
  tls.require_client_auth = section->Flag("requireClientAuth", tls.require_client_auth);
  if (auto path = section->Text("caCertPath")) tls.ca_cert_path = *std::move(path);
  if (tls.require_client_auth && tls.ca_cert_path.value.empty()) {
    section->Wrong(*require, "needs caCertPath, to know whose clients are meant");
  }
  if (!tls.require_client_auth && !tls.ca_cert_path.value.empty()) {
    section->findings()->Warn(tls.ca_cert_path.line, tls.ca_cert_path.key,
                              "is of use with requireClientAuth: true only; nobody is asked here");
  }
  tls.protocols = ReadProtocols(&*section, tls.protocols);
  tls.optional = section->Flag("optional", tls.optional);
  tls.opportunistic = ReadOpportunistic(&*section, protocol != RouterProtocol::kThrift);
  tls.handshake_timeout = section->Time("handshakeTimeoutMs", 1, tls.handshake_timeout);
  tls.max_handshakes = section->Whole("maxHandshakes", 1, kMostHandshakes, tls.max_handshakes);
  section->Done();
  if (!enabled) return std::nullopt;
  return tls;
}

std::optional<ClientTlsConfig> ReadClientTls(std::optional<Section> section,
                                             const NamePattern& prefix) {
  if (!section) return std::nullopt;
  ClientTlsConfig tls;
  tls.enabled = section->Flag("enabled", true);
  tls.disable_validation = section->Flag("disableValidation", false);
  if (auto name = section->Text("commonName")) {
    CheckCommonName(*name, prefix, section->findings());
    tls.common_name = *std::move(name);
  } else if (tls.enabled && !tls.disable_validation) {
    section->findings()->Wrong(section->line(), section->KeyOf("commonName"),
                               "is needed: the name that the backends' certificates are for");
  }
  tls.allow_common_name = section->Flag("allowCommonName", false);
  if (auto bundle = section->Text("trustCertsBundle")) {
    tls.trust_certs.push_back(*std::move(bundle));
  }
  for (auto& path : Texts(&*section, "trustCerts")) tls.trust_certs.push_back(std::move(path));
  const auto client_auth = section->Take("clientAuth");
  if (auto auth = section->Map("clientAuth")) {
    tls.client_auth = ReadCertificate(&*auth);
    auth->Done();
    if (tls.disable_validation) {
      section->Wrong(*client_auth, "clientAuth and disableValidation: true exclude each other");
    }
  }
  tls.protocols = ReadProtocols(&*section, tls.protocols);
  tls.opportunistic = ReadOpportunistic(&*section, true);
  section->Done();
  return tls;
}

OverridesConfig ReadOverrides(std::optional<Section> section) {
  OverridesConfig overrides;
  if (!section) return overrides;
  section->RefuseNothing("allow");
  section->RefuseNothing("prefixes");
  if (section->Take("allow")) overrides.allow = section->Words("allow");
  if (section->Take("prefixes")) {
    overrides.prefixes.emplace();
    for (const Item& item : section->List("prefixes")) {
      using Parsed = base::Result<naming::Prefix>;
      auto prefix = item.node->kind == YamlNode::Kind::kScalar
                        ? naming::Prefix::Parse(item.node->text)
                        : Parsed(base::Status(base::Code::kInvalid,
                                              "must be a path, is " + Describe(*item.node)));
      if (prefix.ok()) {
        overrides.prefixes->push_back(*std::move(prefix));
      } else {
        section->Wrong(item, prefix.status().message());
      }
    }
  }
  section->Done();
  return overrides;
}

}  // namespace trestle::conf
