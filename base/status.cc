#include "base/status.h"

namespace trestle::base {
namespace {

constexpr int32_t kThriftInternalError = 6;

constexpr CodeRow kRows[] = {
    {"ok", 0, 200, false},
    {"invalid", kThriftInternalError, 400, false},
    {"malformed", kThriftInternalError, 400, false},
    {"no_route", kThriftInternalError, 404, false},
    {"unavailable", kThriftInternalError, 502, false},
    {"closed", kThriftInternalError, 502, false},
    {"timeout", kThriftInternalError, 504, false},
    {"cancelled", kThriftInternalError, 499, false},
    {"refused", kThriftInternalError, 503, true},
    {"internal", kThriftInternalError, 500, false},
};

}  // namespace

const CodeRow& RowOf(Code code) { return kRows[static_cast<size_t>(code)]; }

std::string Status::ToString() const {
  if (ok()) return "ok";
  return std::string(CodeName(code_)) + ": " + message_;
}

}  // namespace trestle::base
