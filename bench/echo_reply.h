// Makes the echo's reply of a call, in the memory where the call stands.
//
// Lifetime: none. Threading: any. Errors: false or null for what is no call, or not all there.
#pragma once

#include <cstddef>

namespace trestle::bench {

// Of a Thrift message: field 1 of the call becomes the result, whatever its type.
bool ToReply(char* message, size_t size);

// Of a whole mux message, if it is a Tdispatch. The reply ends where the call did and begins where
// this points to, since contexts, destination and dtab are left out.
char* ToMuxReply(char* message, size_t size);

}  // namespace trestle::bench
