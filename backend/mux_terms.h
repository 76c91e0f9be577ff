// MuxTerms: what two peers of a mux session agreed on before its first call.
//
// Lifetime, threading: a value. Errors: none.
#pragma once

#include <cstdint>

namespace trestle::backend {

struct MuxTerms {
  bool negotiated = false;       // Tinit was answered by Rinit
  uint32_t framer = UINT32_MAX;  // the largest body that the backend takes in one frame
  bool tls = false;              // the stream goes over to TLS now
};

}  // namespace trestle::backend
