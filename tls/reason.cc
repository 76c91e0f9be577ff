#include "tls/reason.h"

#include <algorithm>
#include <cstdio>

#include "tls/openssl.h"
#include "tls/pem.h"

namespace trestle::tls {
namespace {

struct Row {
  int reason;
  const char* text;
};
// Ours, or an alert of the peer ("the peer …").
constexpr Row kReasons[] = {
    {SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, "the client has no certificate"},
    {SSL_R_UNSUPPORTED_PROTOCOL, "no common protocol version"},
    {SSL_R_VERSION_TOO_LOW, "no common protocol version"},
    {SSL_R_VERSION_TOO_HIGH, "no common protocol version"},
    {SSL_R_NO_PROTOCOLS_AVAILABLE, "no common protocol version"},
    {SSL_R_WRONG_SSL_VERSION, "no common protocol version"},
    {SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, "no common protocol version, says the peer"},
    {SSL_R_NO_SHARED_CIPHER, "no common cipher"},
    {SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, "no common signature algorithm"},
    {SSL_R_NO_SUITABLE_KEY_SHARE, "no common key exchange group"},
    {SSL_R_UNEXPECTED_EOF_WHILE_READING, "the peer closed it without close_notify: it was cut off"},
    {SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC, "a record was damaged on its way"},
    {SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED, "the peer wants a certificate of ours"},
    {SSL_R_TLSV1_ALERT_UNKNOWN_CA, "the peer does not know who signed our certificate"},
    {SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, "the peer says that our certificate is bad"},
    {SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE, "the peer cannot use our kind of certificate"},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED, "the peer says that our certificate is revoked"},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED, "the peer says that our certificate has expired"},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, "the peer does not accept our certificate"},
    {SSL_R_TLSV1_ALERT_ACCESS_DENIED, "the peer does not let us in"},
    {SSL_R_TLSV1_UNRECOGNIZED_NAME, "the peer has no certificate for the name we asked for"},
    {SSL_R_TLSV1_ALERT_INSUFFICIENT_SECURITY, "the peer finds our ciphers too weak"},
    {SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE,
     "the peer refuses the handshake: no common cipher, or it wants a certificate of ours"},
};

bool LooksLikeTls(std::string_view first) {
  const auto type = static_cast<unsigned char>(first[0]);
  return type >= 0x14 && type <= 0x17 && (first.size() < 2 || first[1] == 0x03);
}

std::string ShowBytes(std::string_view bytes) {
  const bool text =
      std::all_of(bytes.begin(), bytes.end(), [](char c) { return c >= ' ' && c < 127; });
  if (text) return '"' + std::string(bytes) + '"';
  std::string out = "0x";
  for (const char c : bytes) {
    char two[3];
    std::snprintf(two, sizeof two, "%02x", static_cast<unsigned char>(c));
    out += two;
  }
  return out;
}

std::string Names(const X509* certificate) {
  std::vector<std::string> names = AllNames(certificate);
  if (names.empty()) {
    const std::string cn = Printable(CommonName(certificate));
    return cn.empty() ? "nobody" : "common name " + cn + " (it has no SAN)";
  }
  std::string out;
  constexpr size_t kMost = 5;
  for (size_t i = 0; i < names.size() && i < kMost; i++) out += (i ? ", " : "") + names[i];
  if (names.size() > kMost) out += ", and " + std::to_string(names.size() - kMost) + " more";
  return out;
}

}  // namespace

std::string WhyUnverified(x509_store_ctx_st* store, std::string_view asked) {
  const int error = X509_STORE_CTX_get_error(store);
  const X509* certificate = X509_STORE_CTX_get_current_cert(store);
  if (!certificate) return X509_verify_cert_error_string(error);
  const int depth = X509_STORE_CTX_get_error_depth(store);
  // The leaf is "the certificate".
  const std::string whose =
      depth == 0 ? "the certificate"
                 : "the certificate of " + ShowName(X509_get_subject_name(certificate));
  switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return (depth == 0 ? "certificate" : whose) + " expired on " +
             ShowTime(X509_get0_notAfter(certificate));
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return (depth == 0 ? "certificate" : whose) + " is not valid before " +
             ShowTime(X509_get0_notBefore(certificate));
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return "the certificate is for " + Names(certificate) + ", not " + std::string(asked);
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_CERT_UNTRUSTED:
      return "signed by an unknown authority: " + ShowName(X509_get_issuer_name(certificate));
    default:
      return whose + " is not accepted: " + X509_verify_cert_error_string(error);
  }
}

std::string WhyBroken(std::string_view first, bool done) {
  if (!done && !first.empty() && !LooksLikeTls(first)) {
    return "the peer does not speak TLS (it sent " + ShowBytes(first) + ")";
  }
  const unsigned long error = ERR_peek_last_error();
  const int reason = ERR_GET_REASON(error);
  if (ERR_GET_LIB(error) == ERR_LIB_SSL) {
    if (!done && reason == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
      return "the peer closed the connection in the middle of the handshake";
    }
    if (done && reason == SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE) {
      return "the peer takes the handshake back: it wants another certificate of ours, or it asked "
             "for a second handshake (renegotiation), which it does not get";
    }
    for (const Row& row : kReasons) {
      if (row.reason == reason) return row.text;
    }
  }
  const char* text = ERR_reason_error_string(error);
  return std::string("TLS failed: ") + (text ? text : "unknown error");
}

std::string Identity(const x509_st* certificate) {
  std::string name = FirstUri(certificate);
  const bool uri = !name.empty();
  if (!uri) {
    const std::vector<std::string> names = DnsNames(certificate);
    name = names.empty() ? CommonName(certificate) : names[0];
  }
  const bool passes_for_uri = !uri && name.find(':') != std::string::npos;
  return passes_for_uri || name != Printable(name) ? std::string() : name;
}

}  // namespace trestle::tls
