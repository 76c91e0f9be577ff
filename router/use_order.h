// UseOrder: entries that nobody uses at the moment, in the order in which they were let go of. The
// first is the one to drop when there are too many.
//
// Intrusive: an entry has `T* older`, `T* newer`, `bool idle` and `last_used`, and is in at most
// one order; so putting in what was used just now, or taking out, costs no memory and no search.
//
// Lifetime: entries leave it before they go. Threading: one loop. Errors: none.
#pragma once

namespace trestle::router {

template <class T>
class UseOrder {
 public:
  T* oldest() const { return oldest_; }
  // By its last_used.
  void Add(T* entry) {
    if (entry->idle) Remove(entry);
    T* before = newest_;
    while (before && before->last_used > entry->last_used) before = before->older;
    entry->idle = true;
    entry->older = before;
    entry->newer = before ? before->newer : oldest_;
    (before ? before->newer : oldest_) = entry;
    (entry->newer ? entry->newer->older : newest_) = entry;
  }
  void Remove(T* entry) {
    if (!entry->idle) return;
    entry->idle = false;
    (entry->older ? entry->older->newer : oldest_) = entry->newer;
    (entry->newer ? entry->newer->older : newest_) = entry->older;
    entry->older = entry->newer = nullptr;
  }

 private:
  T* oldest_ = nullptr;
  T* newest_ = nullptr;
};

}  // namespace trestle::router
