// The utility namers of Linkerd under "/$/io.buoyant.…": each rewrites the head of a path in one
// step and keeps the rest.
//
// Lifetime, threading: pure functions. Errors: in the Lookup; what does not fit is Neg.
#pragma once

#include <optional>
#include <string>

#include "naming/namer.h"
#include "naming/path.h"

namespace trestle::naming {

// `name`: "io.buoyant.hostportPfx"; `args`: the path behind it. nullopt: no such namer.
std::optional<Lookup> AskUtilityNamer(const std::string& name, const Path& args);

}  // namespace trestle::naming
