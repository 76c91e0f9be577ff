// RawPeer: a peer made of bare OpenSSL at the far end of a pipe in memory, for what a TlsTransport
// never does itself: other versions, renegotiation, an end without close_notify, damaged records.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "tests/support/memory_transport.h"
#include "tests/tls/certs.h"
#include "tls/openssl.h"

namespace trestle::tls {

class RawPeer {
 public:
  RawPeer(bool server, std::unique_ptr<tests::MemoryTransport> far) : end(std::move(far)) {
    context.reset(SSL_CTX_new(TLS_method()));
    if (server) {
      SSL_CTX_use_certificate_chain_file(context.get(), Certs::Pem("a_chain").c_str());
      SSL_CTX_use_PrivateKey_file(context.get(), Certs::KeyOf("a").c_str(), SSL_FILETYPE_PEM);
    }
    Begin(server);
  }
  ~RawPeer() { SSL_free(ssl); }
  // Anew, after changes to the context.
  void Begin(bool server) {
    SSL_free(ssl);
    ssl = SSL_new(context.get());
    in = BIO_new(BIO_s_mem());
    out = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(in, -1);
    SSL_set_bio(ssl, in, out);
    server ? SSL_set_accept_state(ssl) : SSL_set_connect_state(ssl);
  }

  // Takes what came and sends what there is to send; true when the handshake is done.
  bool Pump() {
    Take();
    ERR_clear_error();
    const bool done = SSL_do_handshake(ssl) == 1;
    Give();
    return done;
  }
  void Take() {
    const std::string came = end->TakeAll();
    if (!came.empty()) BIO_write(in, came.data(), static_cast<int>(came.size()));
  }
  void Give() { end->Send(Sealed()); }
  // What it has to send, not sent.
  std::string Sealed() {
    char* bytes = nullptr;
    const long n = BIO_get_mem_data(out, &bytes);
    std::string sealed(bytes, static_cast<size_t>(n));
    static_cast<void>(BIO_reset(out));
    return sealed;
  }
  void Write(std::string_view bytes) {
    SSL_write(ssl, bytes.data(), static_cast<int>(bytes.size()));
    Give();
  }
  // The plain text that came.
  std::string Read() {
    Take();
    std::string all;
    char some[4096];
    for (int n; (n = SSL_read(ssl, some, sizeof some)) > 0;) all.append(some, n);
    Give();
    return all;
  }

  std::unique_ptr<tests::MemoryTransport> end;
  Context context;
  SSL* ssl = nullptr;
  BIO* in = nullptr;
  BIO* out = nullptr;
};

// Until neither has anything to say.
inline void Converse(RawPeer* peer, net::EventLoop* loop) {
  for (int i = 0; i < 10; i++) {
    tests::Settle(loop);
    peer->Pump();
  }
  tests::Settle(loop);
}

}  // namespace trestle::tls
