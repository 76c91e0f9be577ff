// Trees and addresses in the JSON of the vectors, and how two such values are compared.
//
// Lifetime, threading: pure functions. Errors: none.
#pragma once

#include <string>

#include "naming/addr.h"
#include "naming/dtab.h"
#include "naming/shares.h"
#include "naming/tree.h"
#include "tests/support/naming_vectors_fakes.h"

namespace trestle::tests {

VectorJson JsonOf(const naming::PathTree& tree);
VectorJson JsonOf(const naming::BoundTree& tree);
VectorJson JsonOf(const naming::Addr& addr);
VectorJson JsonOf(const naming::Prefix& prefix);
VectorJson JsonOf(const std::vector<naming::Share>& shares);
std::string HexOf(const std::string& bytes);

// Whether `got` is what was expected: `addrs`, `eval` and `entries` are sets, IPv6 addresses may be
// spelled otherwise, numbers may differ by rounding, and texts that a JVM worded may be any text.
bool AsExpected(const VectorJson& expected, const VectorJson& got);

}  // namespace trestle::tests
