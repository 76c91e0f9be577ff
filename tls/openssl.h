// OpenSSL's objects with their owners, for the .cc files of this folder only: its other headers,
// and all other folders, see none of OpenSSL's.
//
// Lifetime: a pointer frees its object. Threading: none. Errors: none.
#pragma once

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>

namespace trestle::tls {

template <auto kFree>
struct Freed {
  template <class T>
  void operator()(T* object) const {
    kFree(object);
  }
};
using Bio = std::unique_ptr<BIO, Freed<&BIO_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freed<&EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freed<&X509_free>>;
using Context = std::unique_ptr<SSL_CTX, Freed<&SSL_CTX_free>>;
using Session = std::unique_ptr<SSL_SESSION, Freed<&SSL_SESSION_free>>;
using Cipher = std::unique_ptr<EVP_CIPHER, Freed<&EVP_CIPHER_free>>;

}  // namespace trestle::tls
