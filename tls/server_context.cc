#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <algorithm>
#include <utility>

#include "tls/context.h"
#include "tls/load.h"

namespace trestle::tls {
namespace {

// Asked by OpenSSL for the key of a fresh ticket, or of one that a client shows.
int OnTicket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
             EVP_MAC_CTX* mac, int seal) {
  static EVP_CIPHER* const aes = EVP_CIPHER_fetch(nullptr, "AES-256-CBC", nullptr);
  auto* keys = static_cast<TicketKeys*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
  TicketKey key;
  int answer = 1;
  if (seal) {
    key = keys->Current();
    if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(aes)) != 1) return -1;
    std::copy(key.name.begin(), key.name.end(), name);
  } else {
    auto found = keys->Find(name);
    if (!found) return 0;  // the whole handshake, then
    key = found->key;
    if (found->old) answer = 2;
  }
  char digest[] = "SHA256";
  OSSL_PARAM params[] = {
      OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key.mac.data(), key.mac.size()),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0), OSSL_PARAM_END};
  const bool ok = EVP_CipherInit_ex(cipher, aes, nullptr, key.cipher.data(), iv, seal) == 1 &&
                  EVP_MAC_CTX_set_params(mac, params) == 1;
  OPENSSL_cleanse(&key, sizeof key);
  return ok ? answer : -1;
}

int OnName(SSL* ssl, int*, void* arg) {
  const auto* self = static_cast<const ServerContext*>(arg);
  const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  if (!name) return SSL_TLSEXT_ERR_NOACK;
  return self->Use(ssl, name) ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

// Tickets are good under the same rules of who may come in only.
void SetSessionRules(SSL_CTX* context, const ServerOptions& options, const std::string& trust) {
  const std::string rules = (options.require_client_auth ? "auth\n" : "none\n") + trust;
  unsigned char hash[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(rules.data()), rules.size(), hash);
  static_assert(sizeof hash <= SSL_MAX_SID_CTX_LENGTH);
  SSL_CTX_set_session_id_context(context, hash, sizeof hash);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  if (options.tickets) {
    SSL_CTX_set_app_data(context, options.tickets.get());
    SSL_CTX_set_tlsext_ticket_key_evp_cb(context, &OnTicket);
    SSL_CTX_set_num_tickets(context, 1);
  } else {
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(context, 0);
  }
}

}  // namespace

base::Status ServerContext::Add(const ServerOptions& options, const KeyPair& pair) {
  auto context = NewContext(TLS_server_method(), options.protocols);
  if (!context.ok()) return context.status();
  auto own = UseKeyPair(context->get(), pair, X509_PURPOSE_SSL_SERVER);
  if (!own.ok()) return own.status();
  std::string trust;
  if (options.require_client_auth) {
    std::vector<std::string> paths;
    if (!options.ca_cert_path.empty()) paths.push_back(options.ca_cert_path);
    auto used = UseTrust(context->get(), paths);
    if (!used.ok()) return used.status();
    trust = std::move(*used);
    SSL_CTX_set_verify(context->get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  SetSessionRules(context->get(), options, trust);
  SSL_CTX_set_options(context->get(), SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_tlsext_servername_callback(context->get(), &OnName);
  SSL_CTX_set_tlsext_servername_arg(context->get(), this);
  for (std::string& name : own->names) names_.emplace(std::move(name), contexts_.size());
  expires_.push_back(own->expires);
  contexts_.emplace_back(context->release(), &SSL_CTX_free);
  return base::Status::Ok();
}

base::Result<std::shared_ptr<const ServerContext>> ServerContext::Load(
    const ServerOptions& options) {
  if (options.certificates.empty()) {
    return base::Status(base::Code::kInvalid, "a server needs a certificate");
  }
  std::shared_ptr<ServerContext> out(new ServerContext());
  out->tickets_ = options.tickets;
  std::string wrong;
  for (const KeyPair& pair : options.certificates) {
    base::Status s = out->Add(options, pair);
    if (s.ok() || wrong.find(s.message()) != std::string::npos) continue;
    wrong += (wrong.empty() ? "" : "; ") + s.message();
  }
  if (!wrong.empty()) return base::Status(base::Code::kInvalid, wrong);
  return std::shared_ptr<const ServerContext>(std::move(out));
}

bool ServerContext::Use(ssl_st* ssl, std::string_view asked) const {
  const std::string name = Lower(std::string(asked));
  auto it = names_.find(name);
  if (it == names_.end()) {
    const size_t dot = name.find('.');
    // A wildcard stands for one label.
    if (dot != std::string::npos && dot > 0) it = names_.find("*" + name.substr(dot));
  }
  if (it == names_.end()) return false;
  if (it->second > 0) SSL_set_SSL_CTX(ssl, contexts_[it->second].get());
  return true;
}

}  // namespace trestle::tls
