#include "backend/refused.h"

#include <string>

namespace trestle::backend {

Refused::~Refused() {
  OnTurnEnd();  // nothing is left but at the end of all
}

base::Status Refused::Why(const char* why) {
  return base::Status(base::Code::kMalformed, std::string("bad call: ") + why);
}

void Refused::Add(call::Call* call, const char* why) {
  call->holder = this;
  calls_.push_back({call, why});
  loop_->AtTurnEnd(this);
}

void Refused::OnTurnEnd() {
  while (!calls_.empty()) {  // one by one: the end of one may cancel another
    const One one = calls_.front();
    calls_.erase(calls_.begin());
    one.call->holder = nullptr;
    one.call->Fail(call::Step::kDispatch, Why(one.why));
  }
}

void Refused::OnCancel(call::Call* call) {
  std::erase_if(calls_, [call](const One& one) { return one.call == call; });
}

}  // namespace trestle::backend
