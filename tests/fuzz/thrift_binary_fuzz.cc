// Binary messages: envelope, body and application exception.
#include "tests/fuzz/thrift_message_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  trestle::thrift::CheckMessage(trestle::thrift::Protocol::kBinary, data, size);
  return 0;
}
