#include "backend/lendable.h"

#include <algorithm>

namespace trestle::backend {
namespace {

using Shelf = Session::Shelf;

constexpr size_t kLook = 16;  // connections that are looked at for one call

}  // namespace

void Lendable::Put(Session* session) {
  const Shelf shelf = !session->HasRoom() ? Shelf::kNone
                      : session->busy()   ? Shelf::kBusy
                                          : Shelf::kIdle;
  if (shelf == session->shelf) return;
  Remove(session);
  session->shelf = shelf;
  if (shelf == Shelf::kNone) return;
  auto& on = shelf == Shelf::kIdle ? idle_ : busy_;
  session->position = on.size();
  on.push_back(session);
  if (shelf == Shelf::kIdle) count_->Add(1);
}

void Lendable::Remove(Session* session) {
  if (session->shelf == Shelf::kNone) return;
  const bool idle = session->shelf == Shelf::kIdle;
  auto& on = idle ? idle_ : busy_;
  on.erase(on.begin() + static_cast<ptrdiff_t>(session->position));
  for (size_t i = session->position; i < on.size(); i++) on[i]->position = i;
  session->shelf = Shelf::kNone;
  if (idle) count_->Add(-1);
}

Session* Lendable::Pick(const call::Call& call) {
  Session* session = PickBusy(call);
  return session ? session : PickIdle(call);
}

Session* Lendable::PickLeast(const call::Call& call, base::TimePoint now) {
  Session* best = nullptr;
  auto look = [&](Session* s) {
    if (!s->HasRoom() || !s->Speaks(call)) return;
    const bool welcome = now < s->lease_end();
    const bool was = best && now < best->lease_end();
    if (!best || (welcome && !was) || (welcome == was && s->load() < best->load())) best = s;
  };
  const size_t first = turn_++;
  for (const std::vector<Session*>* on : {&idle_, &busy_}) {
    const size_t n = std::min(on->size(), kLook);
    for (size_t i = 0; i < n; i++) look((*on)[(first + i) % on->size()]);
  }
  return best;
}

// What lost its room meanwhile (to a large reply) leaves: its session says when it has some again.
Session* Lendable::PickBusy(const call::Call& call) {
  size_t looked = 0;
  for (size_t i = busy_.size(); i > 0 && looked < kLook; i--) {
    Session* session = busy_[i - 1];
    if (!session->HasRoom()) {
      Remove(session);
      continue;
    }
    if (session->Speaks(call)) return session;
    looked++;
  }
  return nullptr;
}

// Not one whose backend may still be at work on a oneway, as long as another is near: the call
// would wait behind it, or be lost if the backend takes the oneway badly.
Session* Lendable::PickIdle(const call::Call& call) const {
  Session* last_choice = nullptr;
  for (size_t i = 0; i < idle_.size(); i++) {
    Session* session = idle_[idle_.size() - 1 - i];
    if (!session->Speaks(call)) continue;
    if (!session->after_oneway()) return session;
    if (!last_choice) last_choice = session;
    if (i >= kLook) break;
  }
  return last_choice;
}

}  // namespace trestle::backend
