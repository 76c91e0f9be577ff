// What both kinds of contexts are loaded with.
//
// Lifetime: none. Threading: any. Errors: kInvalid, for people.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "tls/context.h"
#include "tls/openssl.h"

namespace trestle::tls {

// A context with what holds for all: versions, no renegotiation, no compression, small when idle.
base::Result<Context> NewContext(const SSL_METHOD* method, const Protocols& protocols);

struct Own {
  base::WallTime expires;
  std::vector<std::string> names;  // of the certificate, in lower case
};
// Loads and checks `pair`, and makes `context` use it. `purpose`: X509_PURPOSE_SSL_SERVER or
// X509_PURPOSE_SSL_CLIENT.
base::Result<Own> UseKeyPair(SSL_CTX* context, const KeyPair& pair, int purpose);

// Trusts what is in `paths`, or whom the system trusts. Gives the files' bytes.
base::Result<std::string> UseTrust(SSL_CTX* context, const std::vector<std::string>& paths);

std::string Lower(std::string s);

}  // namespace trestle::tls
