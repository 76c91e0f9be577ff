// Why a TLS connection broke, as people read it, and who a certificate says its owner is.
//
// Lifetime, threading: none. Errors: none.
#pragma once

#include <string>
#include <string_view>

struct ssl_st;
struct x509_st;
struct x509_store_ctx_st;

namespace trestle::tls {

// Why a chain of certificates was not accepted; `asked` is the name it should have.
std::string WhyUnverified(x509_store_ctx_st* store, std::string_view asked);
// What the last error of OpenSSL in this thread means for a connection whose handshake
// is (not) `done`. `first`: the first bytes of the peer.
std::string WhyBroken(std::string_view first, bool done);
// The verified name: a URI, else a DNS name, else the common name. Nobody, where that has control
// characters (a NUL would cut it short) or is longer than 1 KiB, or is no URI and looks like one.
std::string Identity(const x509_st* certificate);

}  // namespace trestle::tls
