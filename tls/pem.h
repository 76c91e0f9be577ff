// Reading of PEM files, with errors that name the file and what is wrong with it.
//
// Lifetime: values. Threading: any. Errors: kInvalid, as "FILE: what is wrong".
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "tls/openssl.h"

namespace trestle::tls {

struct CertificateFile {
  std::string path;
  std::vector<Certificate> certificates;  // one at least
  std::string bytes;
};

base::Result<CertificateFile> ReadCertificates(const std::string& path);
// PKCS#1, PKCS#8 or SEC 1. An encrypted key is an error; nobody is asked for a password.
base::Result<Key> ReadKey(const std::string& path);
// Every certificate of the file must be valid now.
base::Status CheckDates(const CertificateFile& file);

bool HasExpired(const X509* certificate);
base::WallTime NotAfter(const X509* certificate);
// "2026-01-31 12:00:00 UTC".
std::string ShowTime(const ASN1_TIME* time);
std::string ShowName(const X509_NAME* name);
// The DNS names among its SANs.
std::vector<std::string> DnsNames(const X509* certificate);
// A name that a peer gave itself, for people: clipped, and "?" for control characters.
std::string Printable(std::string name);
// All its SANs that are names or addresses, printable.
std::vector<std::string> AllNames(const X509* certificate);
// The first URI among its SANs; empty without.
std::string FirstUri(const X509* certificate);
std::string CommonName(const X509* certificate);

}  // namespace trestle::tls
