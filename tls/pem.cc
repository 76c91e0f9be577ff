#include "tls/pem.h"

#include <arpa/inet.h>
#include <openssl/pem.h>

#include <algorithm>
#include <cstring>
#include <ctime>
#include <utility>

#include "net/read_file.h"

namespace trestle::tls {
namespace {

constexpr size_t kMostBytes = 16 << 20;
constexpr size_t kMostShown = 1024;  // of a name

bool IsControl(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

base::Status Wrong(const std::string& path, const std::string& what) {
  return base::Status(base::Code::kInvalid, path + ": " + what);
}

base::Result<std::string> ReadFile(const std::string& path) {
  net::FileContents file = net::ReadFile(path, kMostBytes);
  if (file.error != 0) {
    return Wrong(path, std::string("cannot be read: ") + std::strerror(file.error));
  }
  if (!file.regular) return Wrong(path, "cannot be read: it is no regular file");
  if (file.text.size() > kMostBytes) return Wrong(path, "is larger than 16 MiB");
  return std::move(file.text);
}

std::string LastError() {
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  return reason ? reason : "unknown error";
}

// Asked for a password: notes it, and has none.
int NoPassword(char*, int, int, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

tm Utc(const ASN1_TIME* time) {
  tm out{};
  ASN1_TIME_to_tm(time, &out);
  return out;
}

std::string Text(const ASN1_STRING* s) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(s)),
          static_cast<size_t>(ASN1_STRING_length(s))};
}

std::string ShowAddress(const ASN1_OCTET_STRING* bytes) {
  const int size = ASN1_STRING_length(bytes);
  char text[INET6_ADDRSTRLEN] = "?";
  if (size == 4 || size == 16) {
    inet_ntop(size == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(bytes), text, sizeof text);
  }
  return text;
}

template <class Take>
void EachName(const X509* certificate, Take take) {
  auto* names = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) take(sk_GENERAL_NAME_value(names, i));
  GENERAL_NAMES_free(names);
}

}  // namespace

base::Result<CertificateFile> ReadCertificates(const std::string& path) {
  auto bytes = ReadFile(path);
  if (!bytes.ok()) return bytes.status();
  CertificateFile file{path, {}, std::move(*bytes)};
  Bio bio(BIO_new_mem_buf(file.bytes.data(), static_cast<int>(file.bytes.size())));
  ERR_clear_error();
  while (X509* one = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    file.certificates.emplace_back(one);
  }
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  const std::string why = LastError();
  ERR_clear_error();
  if (!at_end) {
    return Wrong(path, "certificate " + std::to_string(file.certificates.size() + 1) +
                           " of it cannot be parsed: " + why);
  }
  if (file.certificates.empty()) return Wrong(path, "there is no PEM certificate in it");
  return file;
}

base::Result<Key> ReadKey(const std::string& path) {
  auto bytes = ReadFile(path);
  if (!bytes.ok()) return bytes.status();
  Bio bio(BIO_new_mem_buf(bytes->data(), static_cast<int>(bytes->size())));
  bool asked = false;
  ERR_clear_error();
  Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, &NoPassword, &asked));
  const std::string why = LastError();
  ERR_clear_error();
  if (!bytes->empty()) OPENSSL_cleanse(bytes->data(), bytes->size());
  if (key) return key;
  if (asked) {
    return Wrong(path, "the key is encrypted; it must be stored without a password");
  }
  if (bytes->empty() || why == "no start line" || why == "unsupported") {
    return Wrong(path, "there is no PEM private key (PKCS#1, PKCS#8) in it");
  }
  return Wrong(path, "the key cannot be parsed: " + why);
}

base::Status CheckDates(const CertificateFile& file) {
  for (const Certificate& c : file.certificates) {
    const ASN1_TIME* from = X509_get0_notBefore(c.get());
    const ASN1_TIME* to = X509_get0_notAfter(c.get());
    const std::string whose = "the certificate of " + ShowName(X509_get_subject_name(c.get()));
    if (X509_cmp_current_time(from) > 0) {
      return Wrong(file.path, whose + " is not valid before " + ShowTime(from));
    }
    if (X509_cmp_current_time(to) < 0) {
      return Wrong(file.path, whose + " expired on " + ShowTime(to));
    }
  }
  return base::Status::Ok();
}

base::WallTime NotAfter(const X509* certificate) {
  tm utc = Utc(X509_get0_notAfter(certificate));
  // Certificates may live longer than 64 bits of nanoseconds.
  constexpr int64_t kLast = INT64_MAX / 1'000'000'000;
  return base::WallTime(std::chrono::seconds(std::min<int64_t>(timegm(&utc), kLast)));
}

std::string ShowTime(const ASN1_TIME* time) {
  tm utc = Utc(time);
  char text[64];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &utc);
  return text;
}

std::string ShowName(const X509_NAME* name) {
  Bio bio(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return size > 0 ? Printable(std::string(text, static_cast<size_t>(size))) : "(no name)";
}

std::vector<std::string> DnsNames(const X509* certificate) {
  std::vector<std::string> out;
  EachName(certificate, [&](const GENERAL_NAME* n) {
    if (n->type == GEN_DNS) out.push_back(Text(n->d.dNSName));
  });
  return out;
}

std::vector<std::string> AllNames(const X509* certificate) {
  std::vector<std::string> out;
  EachName(certificate, [&](const GENERAL_NAME* n) {
    if (n->type == GEN_DNS) out.push_back(Printable(Text(n->d.dNSName)));
    if (n->type == GEN_URI) out.push_back(Printable(Text(n->d.uniformResourceIdentifier)));
    if (n->type == GEN_IPADD) out.push_back(ShowAddress(n->d.iPAddress));
  });
  return out;
}

// Control characters would forge lines of logs.
std::string Printable(std::string name) {
  if (name.size() > kMostShown) name.resize(kMostShown);
  for (char& c : name) {
    if (IsControl(c)) c = '?';
  }
  return name;
}

bool HasExpired(const X509* certificate) {
  return X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0;
}

std::string FirstUri(const X509* certificate) {
  std::string out;
  EachName(certificate, [&](const GENERAL_NAME* n) {
    if (n->type == GEN_URI && out.empty()) out = Text(n->d.uniformResourceIdentifier);
  });
  return out;
}

std::string CommonName(const X509* certificate) {
  const X509_NAME* name = X509_get_subject_name(certificate);
  const int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
  if (at < 0) return {};
  unsigned char* utf8 = nullptr;
  const int size =
      ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
  if (size < 0) return {};
  std::string out(reinterpret_cast<char*>(utf8), static_cast<size_t>(size));
  OPENSSL_free(utf8);
  return out;
}

}  // namespace trestle::tls
