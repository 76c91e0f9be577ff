// AskNamers: what the namers say of a path that the dtab has nothing for. Bind and Delegate both
// stand on it, so that the one explains what the other does.
//
// Lifetime, threading: as Namer. Errors: in the Lookup.
#pragma once

#include <string>

#include "naming/namer.h"
#include "naming/path.h"

namespace trestle::naming {

// Each configured namer whose prefix leads `path`, in order, until one does not say Neg; then the
// system namer for "/$/…"; then, with old_aliases, "/io.l5d.fs/…" goes to "/#/io.l5d.fs/…" where
// such a namer is configured. `why_neg` (may be null) gets a sentence when the answer is Neg.
Lookup AskNamers(const NamerSet& namers, const Path& path, Dependencies* deps,
                 std::string* why_neg);

}  // namespace trestle::naming
