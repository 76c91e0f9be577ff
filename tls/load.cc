#include "tls/load.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include "tls/pem.h"

namespace trestle::tls {
namespace {

struct Version {
  const char* name;
  int number;
  uint64_t off;  // the option that leaves it out
};
constexpr Version kVersions[] = {{"TLSv1", TLS1_VERSION, SSL_OP_NO_TLSv1},
                                 {"TLSv1.1", TLS1_1_VERSION, SSL_OP_NO_TLSv1_1},
                                 {"TLSv1.2", TLS1_2_VERSION, SSL_OP_NO_TLSv1_2},
                                 {"TLSv1.3", TLS1_3_VERSION, SSL_OP_NO_TLSv1_3}};

// The library's own, with AES-128 and SHA-256 before AES-256 and SHA-384, which cost a handshake
// some 5 % more.
constexpr char kCiphers[] = "ECDHE+AESGCM+AES128:ALL:!COMPLEMENTOFDEFAULT:!eNULL";
constexpr char kCiphersuites[] =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

constexpr int kMostNames = 32 * 1024;  // bytes of names of authorities

base::Status Invalid(std::string what) { return {base::Code::kInvalid, std::move(what)}; }

std::string LastReason() {
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  std::string out = reason ? reason : "unknown error";
  ERR_clear_error();
  return out;
}

base::Status SetVersions(SSL_CTX* context, const Protocols& named) {
  const Protocols protocols = named.empty() ? Protocols{"TLSv1.2", "TLSv1.3"} : named;
  for (const std::string& p : protocols) {
    if (std::none_of(std::begin(kVersions), std::end(kVersions),
                     [&](const Version& v) { return p == v.name; })) {
      return Invalid("protocol '" + p + "' is none of TLSv1, TLSv1.1, TLSv1.2, TLSv1.3");
    }
  }
  int low = 0, high = 0;
  uint64_t off = 0;
  for (const Version& v : kVersions) {
    if (std::find(protocols.begin(), protocols.end(), v.name) == protocols.end()) {
      off |= v.off;
    } else {
      if (low == 0) low = v.number;
      high = v.number;
    }
  }
  SSL_CTX_set_min_proto_version(context, low);
  SSL_CTX_set_max_proto_version(context, high);
  SSL_CTX_set_options(context, off);
  // The old ones sign with MD5 and SHA-1, which no higher level lets pass.
  SSL_CTX_set_security_level(context, low < TLS1_2_VERSION ? 0 : 2);
  return base::Status::Ok();
}

// The certificate itself, and its key.
base::Status UseOwn(SSL_CTX* context, const KeyPair& pair, X509* own, int purpose) {
  if (X509_check_purpose(own, purpose, 0) != 1) {
    return Invalid(pair.cert_path + ": the certificate is not for " +
                   (purpose == X509_PURPOSE_SSL_SERVER ? "servers" : "clients") +
                   ", as its extendedKeyUsage or keyUsage says");
  }
  auto key = ReadKey(pair.key_path);
  if (!key.ok()) return key.status();
  if (X509_check_private_key(own, key->get()) != 1) {
    ERR_clear_error();
    return Invalid(pair.key_path + ": the key does not fit the certificate in " + pair.cert_path);
  }
  if (SSL_CTX_use_certificate(context, own) != 1) {
    return Invalid(pair.cert_path + ": the certificate cannot be used: " + LastReason());
  }
  if (SSL_CTX_use_PrivateKey(context, key->get()) != 1) {
    return Invalid(pair.key_path + ": the key cannot be used: " + LastReason());
  }
  return base::Status::Ok();
}

// What stands in files of its own; `chain` has what stood behind the certificate.
base::Status AddIntermediates(const KeyPair& pair, X509* own, std::vector<Certificate>* chain) {
  for (const std::string& path : pair.intermediate_certs_paths) {
    auto more = ReadCertificates(path);
    if (!more.ok()) return more.status();
    if (base::Status s = CheckDates(*more); !s.ok()) return s;
    for (Certificate& c : more->certificates) chain->push_back(std::move(c));
    const bool leads = std::any_of(chain->begin(), chain->end(), [&](const Certificate& c) {
      return X509_check_issued(c.get(), own) == X509_V_OK;
    });
    if (!leads) {
      return Invalid(path + ": no certificate in it is the issuer of " + pair.cert_path + " (" +
                     ShowName(X509_get_issuer_name(own)) + ")");
    }
  }
  return base::Status::Ok();
}

}  // namespace

std::string Lower(std::string s) {
  for (char& c : s) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return s;
}

base::Result<Context> NewContext(const SSL_METHOD* method, const Protocols& protocols) {
  Context context(SSL_CTX_new(method));
  if (!context) return base::Status(base::Code::kInternal, "no TLS context: " + LastReason());
  if (base::Status s = SetVersions(context.get(), protocols); !s.ok()) return s;
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  if (SSL_CTX_set_cipher_list(context.get(), kCiphers) != 1 ||
      SSL_CTX_set_ciphersuites(context.get(), kCiphersuites) != 1) {
    return base::Status(base::Code::kInternal, "no TLS context: " + LastReason());
  }
  // What is written again after a wait may have moved.
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  return context;
}

base::Result<Own> UseKeyPair(SSL_CTX* context, const KeyPair& pair, int purpose) {
  auto file = ReadCertificates(pair.cert_path);
  if (!file.ok()) return file.status();
  if (base::Status s = CheckDates(*file); !s.ok()) return s;
  X509* own = file->certificates[0].get();
  if (base::Status s = UseOwn(context, pair, own, purpose); !s.ok()) return s;
  Own out{NotAfter(own), DnsNames(own)};
  if (out.names.empty()) out.names.push_back(CommonName(own));
  for (std::string& name : out.names) name = Lower(std::move(name));

  std::vector<Certificate> chain;
  for (size_t i = 1; i < file->certificates.size(); i++) {
    chain.push_back(std::move(file->certificates[i]));
  }
  if (base::Status s = AddIntermediates(pair, own, &chain); !s.ok()) return s;
  for (const Certificate& c : chain) {
    out.expires = std::min(out.expires, NotAfter(c.get()));
    if (SSL_CTX_add1_chain_cert(context, c.get()) != 1) {
      return Invalid(pair.cert_path + ": its chain cannot be used: " + LastReason());
    }
  }
  return out;
}

base::Result<std::string> UseTrust(SSL_CTX* context, const std::vector<std::string>& paths) {
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  // Whom the operator names is trusted, be it no root.
  X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
  std::string bytes;
  int names = 0;
  for (const std::string& path : paths) {
    auto file = ReadCertificates(path);
    if (!file.ok()) return file.status();
    for (const Certificate& c : file->certificates) {
      if (X509_STORE_add_cert(store, c.get()) != 1) {
        return Invalid(path + ": a certificate cannot be trusted: " + LastReason());
      }
      // Some clients choose their certificate by who is named here.
      SSL_CTX_add_client_CA(context, c.get());
      names += i2d_X509_NAME(X509_get_subject_name(c.get()), nullptr);
    }
    bytes += file->bytes;
  }
  // A handshake has room for 64 KiB of them; without any a client shows what it has.
  if (names > kMostNames) SSL_CTX_set_client_CA_list(context, sk_X509_NAME_new_null());
  if (paths.empty() && SSL_CTX_set_default_verify_paths(context) != 1) {
    return Invalid("the system's trusted certificates cannot be read: " + LastReason());
  }
  return bytes;
}

}  // namespace trestle::tls
