// A dtab and, behind the last line break, a path: read or refused, and binding and explaining end
// within their bounds and agree with each other.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "naming/bind.h"
#include "naming/delegate_json.h"
#include "naming/explain.h"
#include "naming/shares.h"
#include "naming/system_namer.h"

namespace naming = trestle::naming;

namespace {

class NoResolver : public naming::InetResolver {
 public:
  std::shared_ptr<naming::Var<naming::Addr>> Resolve(const std::string&, uint16_t) override {
    return std::make_shared<naming::Var<naming::Addr>>(naming::Addr::Neg());
  }
};

// "/x" is bound, "/p" pending, "/e" failed, all else Neg.
class SomeNamer : public naming::Namer {
 public:
  naming::Lookup Find(const naming::Path& prefix, const naming::Path& rest,
                      naming::Dependencies*) override {
    if (rest.empty()) return naming::Lookup::Neg();
    if (rest[0] == "p") return naming::Lookup::Pending();
    if (rest[0] == "e") return naming::Lookup::Failed("\xff broken");
    if (rest[0] != "x") return naming::Lookup::Neg();
    return naming::Lookup::Bound({prefix + rest.Take(1), rest.Drop(1), addr_});
  }

 private:
  std::shared_ptr<naming::Var<naming::Addr>> addr_ = std::make_shared<naming::Var<naming::Addr>>(
      naming::Addr::Bound({{"10.0.0.1", 80, 1.0, false}}));
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  size_t pos = 0;
  const auto whole = naming::Dtab::Parse(text, &pos);
  if (!whole.ok() && pos > size) std::abort();
  const size_t split = text.rfind('\n');
  const auto dtab = naming::Dtab::Parse(text.substr(0, split));
  const auto path = naming::Path::Parse(split == text.npos ? "/a" : text.substr(split + 1));
  if (!dtab.ok() || !path.ok()) return 0;
  const auto again = naming::Dtab::Parse(dtab->Show());
  if (!again.ok() || again->size() != dtab->size()) std::abort();

  NoResolver resolver;
  naming::SystemNamer system(&resolver);
  SomeNamer namer;
  const naming::NamerSet namers{{{naming::Path({"#", "n"}), &namer}}, &system, true};
  naming::BindTrace trace;
  const naming::BindResult bound = naming::Bind(*dtab, *path, namers, nullptr, &trace);
  if (trace.paths.empty() || trace.paths.size() > naming::BindTrace::kMaxPaths) std::abort();
  if (bound.ok()) {
    double sum = 0;
    for (const auto& share : naming::Shares(bound.tree)) sum += share.p;
    if (sum < 0.999 || sum > 1.001) std::abort();
    naming::MergedAddr(bound.tree);
  }
  if (const auto tree = naming::Delegate(*dtab, *path, namers); tree.ok()) {
    if (naming::DelegateJson(*tree).empty()) std::abort();
    if (naming::ExplainText(*tree, &bound).empty()) std::abort();
  }
  return 0;
}
