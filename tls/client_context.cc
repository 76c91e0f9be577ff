#include <arpa/inet.h>

#include <algorithm>
#include <atomic>
#include <utility>

#include "tls/context.h"
#include "tls/load.h"
#include "tls/sessions.h"

namespace trestle::tls {
namespace {

bool IsAddress(const std::string& name) {
  unsigned char address[sizeof(in6_addr)];
  return inet_pton(AF_INET, name.c_str(), address) == 1 ||
         inet_pton(AF_INET6, name.c_str(), address) == 1;
}

}  // namespace

base::Result<std::shared_ptr<const ClientContext>> ClientContext::Load(
    const ClientOptions& options) {
  static std::atomic<uint64_t> loaded{0};
  if (!options.disable_validation && options.common_name.empty()) {
    return base::Status(base::Code::kInvalid,
                        "there is no common name, so the server's certificate cannot be verified");
  }
  auto context = NewContext(TLS_client_method(), options.protocols);
  if (!context.ok()) return context.status();
  std::shared_ptr<ClientContext> out(new ClientContext());
  std::string wrong;
  auto note = [&wrong](const base::Status& s) {
    wrong += (wrong.empty() ? "" : "; ") + s.message();
  };
  if (!options.disable_validation) {
    auto used = UseTrust(context->get(), options.trust_certs);
    if (!used.ok()) note(used.status());
    SSL_CTX_set_verify(context->get(), SSL_VERIFY_PEER, nullptr);
  }
  if (options.client_auth) {
    auto own = UseKeyPair(context->get(), *options.client_auth, X509_PURPOSE_SSL_CLIENT);
    if (own.ok()) {
      out->expires_ = own->expires;
    } else {
      note(own.status());
    }
  }
  if (!wrong.empty()) return base::Status(base::Code::kInvalid, wrong);
  // Sessions are kept in ClientSessions, not in the context.
  SSL_CTX_set_session_cache_mode(context->get(),
                                 SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context->get(), &ClientSessions::OnNew);
  out->context_.reset(context->release(), &SSL_CTX_free);
  out->name_ = options.common_name;
  out->validates_ = !options.disable_validation;
  out->allow_common_name_ = options.allow_common_name;
  out->id_ = ++loaded;
  return std::shared_ptr<const ClientContext>(std::move(out));
}

std::shared_ptr<const ClientContext> ClientContext::WithName(std::string common_name) const {
  std::shared_ptr<ClientContext> out(new ClientContext(*this));
  out->name_ = std::move(common_name);
  return out;
}

bool ClientContext::Prepare(ssl_st* ssl) const {
  const bool address = IsAddress(name_);
  if (!name_.empty() && !address && SSL_set_tlsext_host_name(ssl, name_.c_str()) != 1) return false;
  if (!validates_) return true;
  // OpenSSL takes a name that begins with a dot for all names below it.
  if (name_.empty() || name_[0] == '.') return false;
  X509_VERIFY_PARAM* rules = SSL_get0_param(ssl);
  unsigned flags = X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS;
  if (!allow_common_name_) flags |= X509_CHECK_FLAG_NEVER_CHECK_SUBJECT;
  X509_VERIFY_PARAM_set_hostflags(rules, flags);
  if (address) return X509_VERIFY_PARAM_set1_ip_asc(rules, name_.c_str()) == 1;
  return X509_VERIFY_PARAM_set1_host(rules, name_.c_str(), name_.size()) == 1;
}

}  // namespace trestle::tls
