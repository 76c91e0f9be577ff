// How often memory was asked for, and how much is held: of the whole test program.
#pragma once

#include <cstddef>

namespace trestle::mux {

size_t Allocations();  // so far
size_t HeldBytes();    // by new, now

}  // namespace trestle::mux
