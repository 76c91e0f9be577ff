// Runs the vectors of names: files of JSON lines, each with what is given and what is expected.
//
// Lifetime, threading: pure functions but for the files they read. Errors: what cannot be read is a
// failed vector.
#pragma once

#include <cstddef>
#include <iosfwd>
#include <string>
#include <string_view>

#include "tests/support/naming_vectors_fakes.h"

namespace trestle::tests {

struct VectorTotals {
  size_t passed = 0;
  size_t failed = 0;
  size_t unknown_files = 0;  // files of a kind that nobody knows; told, not counted
};

// Whether `kind` ("bind", "path-parse", …: the file's name without ".jsonl") can be run.
bool KnownVectorKind(std::string_view kind);

// "" when the vector holds, else what was expected and what came.
std::string CheckVector(std::string_view kind, const VectorJson& vector);

// Every *.jsonl of `dir`; each failed vector is written to `out`.
VectorTotals RunNamingVectors(const std::string& dir, std::ostream& out);

}  // namespace trestle::tests
