// Stream: OpenSSL's view (a BIO) of a TlsTransport's inner transport, and the memory of this thread
// that bytes pass through on their way, so that an idle connection needs none.
//
// Lifetime: a BIO belongs to the SSL object it is given to. Threading: the loop's; the scratch is
// used within one call of a TlsTransport and is empty between two. Errors: none.
#pragma once

#include <cstddef>
#include <memory>

#include "tls/openssl.h"

namespace trestle::tls {

class TlsTransport;

constexpr size_t kRecord = 16 * 1024;    // plaintext of one record
constexpr size_t kStaged = 4 * kRecord;  // plaintext that is encrypted before it is written
constexpr size_t kOverhead = 2 * 1024;   // more than the records of kStaged need besides
// Ciphertext that is taken from the inner transport for one call of the reader: a peer that sends
// without end what is no bytes for the reader does not keep the thread.
constexpr size_t kMostPulled = 2 * kStaged;
// Ciphertext in a row without a byte for the reader: tickets and fresh keys are much less.
constexpr size_t kMostTalk = 4 * kStaged;
// Ciphertext that waits for a peer that reads nothing.
constexpr size_t kMostPending = 2 * kStaged;

struct Scratch {
  char in[kStaged + kOverhead];
  size_t in_at = 0, in_size = 0;
  char out[kStaged + kRecord + kOverhead];
  size_t out_size = 0;
  char gather[kRecord];

  static Scratch* Get() {
    thread_local std::unique_ptr<Scratch> scratch = std::make_unique<Scratch>();
    return scratch.get();
  }
};

struct Stream {
  static BIO* New(TlsTransport* transport);

 private:
  static const BIO_METHOD* Method();
  static int Read(BIO* bio, char* to, int room);
  static int Write(BIO* bio, const char* from, int size);
  static long Control(BIO* bio, int command, long, void*);
};

}  // namespace trestle::tls
