#include "tls/stream.h"

#include "tls/tls_transport.h"

namespace trestle::tls {

const BIO_METHOD* Stream::Method() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "trestle transport");
    BIO_meth_set_read(m, &Read);
    BIO_meth_set_write(m, &Write);
    BIO_meth_set_ctrl(m, &Control);
    return m;
  }();
  return method;
}

BIO* Stream::New(TlsTransport* transport) {
  BIO* bio = BIO_new(Method());
  if (!bio) return nullptr;
  BIO_set_data(bio, transport);
  BIO_set_init(bio, 1);
  return bio;
}

int Stream::Read(BIO* bio, char* to, int room) {
  BIO_clear_retry_flags(bio);
  auto* transport = static_cast<TlsTransport*>(BIO_get_data(bio));
  const long n = transport->ReadInner(to, static_cast<size_t>(room));
  if (n == TlsTransport::kNothingNow) BIO_set_retry_read(bio);
  return static_cast<int>(n);
}

int Stream::Write(BIO* bio, const char* from, int size) {
  BIO_clear_retry_flags(bio);
  static_cast<TlsTransport*>(BIO_get_data(bio))->Stage(from, static_cast<size_t>(size));
  return size;
}

long Stream::Control(BIO* bio, int command, long, void*) {
  if (command == BIO_CTRL_EOF) return static_cast<TlsTransport*>(BIO_get_data(bio))->inner_end_;
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

}  // namespace trestle::tls
