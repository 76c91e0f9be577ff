// OneLine: what a peer may have written, as one line of a log or an error.
//
// Lifetime, threading: none. Errors: none.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace trestle::call {

// UTF-8 of about `most` bytes at most, without control characters.
std::string OneLine(std::string_view text, size_t most);

}  // namespace trestle::call
