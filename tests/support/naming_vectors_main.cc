// naming_vectors DIR: runs every vector file of a folder (tests/vectors/naming has ours), prints
// the vectors that fail, and ends with "N passed, N failed". Exit code 1 if any failed, 2 for a
// folder that cannot be read.
#include <filesystem>
#include <iostream>

#include "tests/support/naming_vectors.h"

int main(int argc, char** argv) {
  if (argc != 2 || std::string(argv[1]) == "--help") {
    std::cerr << "usage: naming_vectors DIR, a folder with files like bind.jsonl\n";
    return 2;
  }
  std::error_code error;
  if (!std::filesystem::is_directory(argv[1], error)) {
    std::cerr << "naming_vectors: " << argv[1] << " is no folder that can be read\n";
    return 2;
  }
  try {
    const trestle::tests::VectorTotals totals =
        trestle::tests::RunNamingVectors(argv[1], std::cout);
    if (totals.passed + totals.failed == 0) {
      std::cerr << "naming_vectors: no vectors in " << argv[1] << "\n";
      return 2;
    }
    std::cout << totals.passed << " passed, " << totals.failed << " failed\n";
    return totals.failed == 0 ? 0 : 1;
  } catch (const std::exception& fault) {
    std::cerr << "naming_vectors: " << fault.what() << "\n";
    return 2;
  }
}
