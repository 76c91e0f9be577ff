// Paths, prefixes, names of calls, fs files and serversets from any bytes: read or refused, and
// what is shown reads back the same.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "naming/call_name.h"
#include "naming/fs_file.h"
#include "naming/path.h"
#include "naming/serverset.h"
#include "naming/utility_namers.h"

namespace naming = trestle::naming;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  size_t pos = 0;
  if (const auto path = naming::Path::Parse(text, &pos); path.ok()) {
    const auto again = naming::Path::Parse(path->Show());
    if (!again.ok() || *again != *path) std::abort();
    if (!path->empty()) {
      const auto answer = naming::AskUtilityNamer((*path)[0], path->Drop(1));
      if (answer && answer->state == naming::Lookup::State::kPending) std::abort();
    }
    const auto serverset = naming::ParseServersetName(*path);
    if (serverset.ok() && serverset->znodes.size() != path->size()) std::abort();
  } else if (pos > size) {
    std::abort();
  }
  if (const auto prefix = naming::Prefix::Parse(text); prefix.ok()) {
    const auto again = naming::Prefix::Parse(prefix->Show());
    if (!again.ok() || *again != *prefix) std::abort();
  }
  const naming::Path svc({"svc"});
  for (bool method : {false, true}) {
    const auto name = naming::NameOfCall(svc, std::nullopt, text, method);
    if (name.ok() && !name->StartsWith(svc)) std::abort();
  }
  const naming::Addr addr = naming::ParseFsFile(text);
  if (addr.kind == naming::Addr::Kind::kPending) std::abort();
  naming::ServersetAddr({{"member_1", std::string(text)}, {"vector_1", std::string(text)}},
                        std::nullopt, std::nullopt);
  return 0;
}
