// Every vector of tests/vectors/naming, and that the runner can tell right from wrong.
#include <gtest/gtest.h>

#include <sstream>

#include "tests/support/naming_vectors.h"

namespace trestle::tests {
namespace {

TEST(NamingVectors, AllOfOursPass) {
  std::ostringstream out;
  const VectorTotals totals = RunNamingVectors(std::string(TRESTLE_VECTORS) + "/naming", out);
  EXPECT_EQ(totals.failed, 0u) << out.str();
  EXPECT_EQ(totals.unknown_files, 0u) << out.str();
  EXPECT_EQ(totals.passed, 1967u);
}

TEST(NamingVectors, AWrongExpectationFails) {
  const auto check = [](const char* kind, const char* text) {
    return CheckVector(kind, VectorJson::parse(text));
  };
  EXPECT_EQ(check("path-parse", R"({"input":"/a","ok":true,"show":"/a","elems_hex":["61"]})"), "");
  EXPECT_NE(check("path-parse", R"({"input":"/a","ok":true,"show":"/b","elems_hex":["61"]})"), "");
  EXPECT_NE(check("path-parse", R"({"input":"/a","ok":false,"error":"x","pos":0})"), "");
  EXPECT_NE(check("path-parse", R"({"input":"/a/","ok":false,"error":"x","pos":3})"), "");
  EXPECT_NE(check("fs-files", R"({"text":"h 1","expect":{"type":"neg"}})"), "");
  EXPECT_NE(check("bind", R"({"dtab":"","path":"/a","namers":[],
                              "expect":{"state":"failed","error_kind":"max_depth"}})"),
            "");
  EXPECT_NE(check("delegate", R"({"dtab":"","path":"/a","namers":[],
                                  "expect":{"status":200,"json":{"path":"/a"}}})"),
            "");
  EXPECT_NE(check("bind", R"({"dtab":""})"), "");
  EXPECT_NE(check("no-such-kind", R"({})"), "");
}

}  // namespace
}  // namespace trestle::tests
