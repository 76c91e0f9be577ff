#include "backend/lendable.h"

#include <algorithm>

namespace trestle::backend {
namespace {

using Shelf = ThriftSession::Shelf;

constexpr size_t kLook = 16;  // connections that are looked at for one call

}  // namespace

void Lendable::Put(ThriftSession* session) {
  const Shelf shelf = !session->busy()     ? Shelf::kIdle
                      : session->HasRoom() ? Shelf::kBusy
                                           : Shelf::kNone;
  if (shelf == session->shelf) return;
  Remove(session);
  session->shelf = shelf;
  if (shelf == Shelf::kNone) return;
  auto& on = shelf == Shelf::kIdle ? idle_ : busy_;
  session->position = on.size();
  on.push_back(session);
  if (shelf == Shelf::kIdle) count_->Add(1);
}

void Lendable::Remove(ThriftSession* session) {
  if (session->shelf == Shelf::kNone) return;
  const bool idle = session->shelf == Shelf::kIdle;
  auto& on = idle ? idle_ : busy_;
  on.erase(on.begin() + static_cast<ptrdiff_t>(session->position));
  for (size_t i = session->position; i < on.size(); i++) on[i]->position = i;
  session->shelf = Shelf::kNone;
  if (idle) count_->Add(-1);
}

// A large request wants a connection of its own.
ThriftSession* Lendable::Pick(const call::Call& call) {
  ThriftSession* session = call.streamed ? nullptr : PickBusy(call.protocol);
  return session ? session : PickIdle(call.protocol);
}

// What lost its room meanwhile (to a large reply) leaves: its session says when it has some again.
ThriftSession* Lendable::PickBusy(thrift::Protocol protocol) {
  size_t looked = 0;
  for (size_t i = busy_.size(); i > 0 && looked < kLook; i--) {
    ThriftSession* session = busy_[i - 1];
    if (!session->HasRoom()) {
      Remove(session);
      continue;
    }
    if (session->Speaks(protocol)) return session;
    looked++;
  }
  return nullptr;
}

// Not one whose backend may still be at work on a oneway, as long as another is near: the call
// would wait behind it, or be lost if the backend takes the oneway badly.
ThriftSession* Lendable::PickIdle(thrift::Protocol protocol) const {
  ThriftSession* last_choice = nullptr;
  for (size_t i = 0; i < idle_.size(); i++) {
    ThriftSession* session = idle_[idle_.size() - 1 - i];
    if (!session->Speaks(protocol)) continue;
    if (!session->after_oneway()) return session;
    if (!last_choice) last_choice = session;
    if (i >= kLook) break;
  }
  return last_choice;
}

}  // namespace trestle::backend
