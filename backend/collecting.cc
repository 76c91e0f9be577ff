#include "backend/collecting.h"

#include <utility>

namespace trestle::backend {

Collecting::Collecting(net::EventLoop* loop, call::Call* call, Owner* owner)
    : loop_(loop), call_(call), owner_(owner), moved_(loop->Now()) {
  call->holder = this;
}

Collecting::~Collecting() {
  if (call_) GiveBack();
}

void Collecting::Ask() {
  asked_ = true;
  moved_ = loop_->Now();
  call_->request_body.sink = this;
  call_->request_body.source->OnBodyRoom(call_);
}

call::Call* Collecting::GiveBack() {
  call_->holder = nullptr;
  if (call_->request_body.sink == this) call_->request_body.sink = nullptr;
  if (call_->request_body.whole()) call_->streamed = false;
  return std::exchange(call_, nullptr);
}

void Collecting::OnCancel(call::Call* call) {
  GiveBack();
  owner_->OnCollectingCancelled(this, call);
}

bool Collecting::OnBody(call::Call* call, base::Buffer bytes) {
  moved_ = loop_->Now();
  call->request.Append(std::move(bytes));
  call->request.Compact();
  owner_->OnMore(this);
  return call_ != nullptr;
}

}  // namespace trestle::backend
