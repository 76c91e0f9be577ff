#include "router/overrides.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>

#include "call/one_line.h"
#include "router/identifier.h"

namespace trestle::router {
namespace {

constexpr base::Duration kTellAgain = std::chrono::seconds(1);
// Of text that a client sent, in the log.
constexpr size_t kMostText = 300;

}  // namespace

void Overrides::Set(const conf::OverridesConfig& config) {
  all_ = !config.allow && !config.prefixes;
  allow_.reset();
  if (config.allow) allow_.emplace(*config.allow);
  prefixes_ = config.prefixes;
  if (!all_ && !dropped_) dropped_ = scope_->Child("overrides")->counter("dropped_dtabs");
}

void Overrides::Check(call::Call* call) {
  if (allow_ && !(call->identity && allow_->Have(*call->identity))) {
    return Drop(call, "", Identifier::LocalText(*call));
  }
  if (!prefixes_) return;
  const auto dtab = Identifier::LocalDtab(*call);
  if (!dtab.ok()) return;  // it has no name, and goes nowhere
  std::string left, dropped;
  for (const naming::Dentry& entry : dtab->dentries()) {
    (May(entry.prefix) ? left : dropped).append(entry.Show()).append(";");
  }
  if (!dropped.empty()) Drop(call, std::move(left), dropped);
}

bool Overrides::May(const naming::Prefix& prefix) const {
  return std::any_of(prefixes_->begin(), prefixes_->end(),
                     [&prefix](const naming::Prefix& may) { return may.Covers(prefix); });
}

void Overrides::Drop(call::Call* call, std::string left, const std::string& dropped) {
  call->KeepOfDtab(std::move(left));
  dropped_->Add();
  const base::TimePoint now = loop_->Now();
  if (now < tell_at_) {
    ++untold_;
    return;
  }
  LOG(WARNING) << scope_->flat() << ": a call's dtab lost " << call::OneLine(dropped, kMostText)
               << " (overrides): "
               << (call->identity ? call::OneLine(*call->identity, kMostText)
                                  : "its client has no identity")
               << (untold_ > 0 ? ", and " + std::to_string(untold_) + " more before" : "");
  tell_at_ = now + kTellAgain;
  untold_ = 0;
}

}  // namespace trestle::router
