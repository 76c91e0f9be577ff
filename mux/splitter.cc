#include "mux/splitter.h"

#include <algorithm>
#include <utility>

namespace trestle::mux {

void Splitter::Add(Type type, uint32_t tag, base::Buffer body) {
  bytes_ += body.size();
  waiting_.push_back({type, tag, false, std::move(body)});
}

base::Buffer Splitter::Next(base::Arena* arena) {
  Message& first = waiting_.front();
  const bool more = !Whole(first.body.size()) && MayBeSplit(first.type);
  const size_t size = more ? piece_ : first.body.size();
  base::Slice head = arena->Allot(kHeadBytes);
  WriteHead(first.type, first.tag, more, size, head.data());
  base::Buffer out(std::move(head));
  if (size > 0) out.Append(first.body.Split(size));
  bytes_ -= size;
  fragments_ += more || first.begun;
  first.begun = true;
  if (more && waiting_.size() == 1) return out;
  // What is left of it waits behind the others.
  if (more) waiting_.push_back(std::move(first));
  waiting_.pop_front();
  return out;
}

bool Splitter::Drop(uint32_t tag, bool* begun) {
  const auto it = std::find_if(waiting_.begin(), waiting_.end(),
                               [tag](const Message& message) { return message.tag == tag; });
  if (it == waiting_.end()) return false;
  *begun = it->begun;
  bytes_ -= it->body.size();
  waiting_.erase(it);
  return true;
}

}  // namespace trestle::mux
