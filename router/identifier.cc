#include "router/identifier.h"

#include <vector>

#include "naming/call_name.h"

namespace trestle::router {
namespace {

base::Status Because(const char* part, const base::Status& status) {
  return {status.code(), std::string(part) + ": " + status.message()};
}

// Lengths go with the pieces, so that no bytes in one piece can pass for two.
void Put(std::string_view piece, std::string* to) {
  auto n = static_cast<uint32_t>(piece.size());
  to->append(reinterpret_cast<const char*>(&n), sizeof n);
  to->append(piece);
}

}  // namespace

// The header's `dest`; where a client names none ("/", as Linkerd writes it, is none), the
// server's.
std::string_view Identifier::Dest(const call::Call& call) const {
  const bool counts = mux_ != Mux::kMessage || call.header_form != call::HeaderForm::kMux;
  if (counts && call.header && call.header->dest && !call.header->dest->empty() &&
      *call.header->dest != "/") {
    return *call.header->dest;
  }
  return call.default_dest ? std::string_view(*call.default_dest) : std::string_view();
}

std::string_view Identifier::Key(const call::Call& call) {
  key_.clear();
  Put(Dest(call), &key_);
  if (mux_ != Mux::kDst) Put(call.method, &key_);
  if (!call.header) return key_;
  for (const auto& d : call.header->delegations) {
    Put(d.src, &key_);
    Put(d.dst, &key_);
  }
  // One piece more than pairs have: it passes for none of them.
  if (!call.header->dtab.empty()) Put(call.header->dtab, &key_);
  return key_;
}

base::Result<naming::Path> Identifier::Name(const call::Call& call) const {
  std::string_view dest = Dest(call);
  if (!dest.empty()) {
    auto path = naming::Path::Parse(dest);
    if (!path.ok()) return Because("dest", path.status());
    if (mux_ == Mux::kDst) return dst_prefix_ + *path;
  }
  if (mux_ == Mux::kDst) return dst_prefix_;
  return naming::NameOfCall(dst_prefix_,
                            dest.empty() ? std::nullopt : std::optional<std::string_view>(dest),
                            call.method, method_in_dst_);
}

base::Result<naming::Dtab> Identifier::LocalDtab(const call::Call& call) {
  std::vector<naming::Delegation> delegations;
  if (call.header) {
    for (const auto& d : call.header->delegations) delegations.push_back({d.src, d.dst});
  }
  auto dtab = naming::ParseDelegations(delegations);
  if (!dtab.ok()) return Because("local dtab", dtab.status());
  if (!call.header || call.header->dtab.empty()) return dtab;
  auto text = naming::ParseDtabText(call.header->dtab);
  if (!text.ok()) return Because("local dtab", text.status());
  return *dtab + *text;
}

std::string Identifier::LocalText(const call::Call& call) {
  std::string text;
  if (!call.header) return text;
  for (const auto& d : call.header->delegations) {
    text.append(d.src).append("=>").append(d.dst).append(";");
  }
  text.append(call.header->dtab);
  return text;
}

}  // namespace trestle::router
