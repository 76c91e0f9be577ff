// RewriteNamer: the namer io.l5d.rewrite: a pattern with captures, and the name to make of them.
//
// "/{env}/{svc}" with "/srv/{svc}/{env}" makes "/srv/users/prod" of "/prod/users/x": elements past
// the pattern are lost.
//
// Lifetime, threading: as Namer; it keeps no state. Errors: Make refuses a pattern or name that
// cannot be read; a name that does not fit is Neg.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "naming/label_pattern.h"
#include "naming/namer.h"

namespace trestle::naming {

class RewriteNamer : public Namer {
 public:
  // `name`: a path with captures of the pattern.
  static base::Result<std::unique_ptr<RewriteNamer>> Make(std::string_view pattern,
                                                          std::string_view name);
  Lookup Find(const Path& prefix, const Path& rest, Dependencies* deps) override;

 private:
  RewriteNamer() = default;

  std::vector<LabelPattern> pattern_;
  std::vector<LabelPattern> name_;
};

}  // namespace trestle::naming
