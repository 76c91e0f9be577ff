// The certificates of the tests: made once for each test program, in a directory that goes with it.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

#include "tls/context.h"

namespace trestle::tls {

class Certs {
 public:
  // Where NAME.pem and NAME.key are: see tests/support/make_certs.sh.
  static const std::string& Dir() {
    static const Certs certs;
    return certs.dir_;
  }
  static std::string Pem(const std::string& name) { return Dir() + "/" + name + ".pem"; }
  static std::string KeyOf(const std::string& name) { return Dir() + "/" + name + ".key"; }
  // A certificate and its key; with the intermediate where it is `by` one.
  static KeyPair Pair(const std::string& name, bool by_intermediate = true) {
    KeyPair pair{Pem(name), KeyOf(name), {}};
    if (by_intermediate) pair.intermediate_certs_paths = {Pem("intermediate")};
    return pair;
  }

 private:
  Certs() {
    dir_ = (std::filesystem::temp_directory_path() / "trestle_certs_XXXXXX").string();
    if (!mkdtemp(dir_.data())) std::abort();
    const std::string command = TRESTLE_SOURCE "/tests/support/make_certs.sh " + dir_;
    if (std::system(command.c_str()) != 0) std::abort();
  }
  ~Certs() {
    std::error_code ignored;
    std::filesystem::remove_all(dir_, ignored);
  }
  std::string dir_;
};

}  // namespace trestle::tls
