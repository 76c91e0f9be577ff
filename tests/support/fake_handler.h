// FakeHandler: where a server's calls go in its tests. It keeps each call, as its Holder, until the
// test ends it.
//
// Lifetime: outlives the server. Threading: one loop. Errors: none.
#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "call/call.h"
#include "tests/support/thrift_wire.h"

namespace trestle::tests {

class FakeHandler final : public call::Handler, private call::Holder {
 public:
  void Handle(call::Call* call) override {
    handled++;
    methods.push_back(call->method);
    most_open = std::max(most_open, open.size() + 1);
    if (at_once) return at_once(call);
    call->holder = this;
    open.push_back(call);
  }

  // Takes the i-th open call, to end it.
  call::Call* Take(size_t i = 0) {
    call::Call* call = open.at(i);
    open.erase(open.begin() + static_cast<ptrdiff_t>(i));
    call->holder = nullptr;
    return call;
  }
  // Ends a call with a reply whose body is `body`.
  static void Reply(call::Call* call, std::string_view body = kVoidBody,
                    thrift::ReplyKind kind = thrift::ReplyKind::kResult) {
    call->Reply(
        base::Buffer::Copy(ReplyFrame(call->method, call->envelope.seqid, body, call->protocol)),
        kind);
  }
  static void Fail(call::Call* call, std::string why = "no way") {
    call->Fail(call::Step::kConnect, base::Status(base::Code::kUnavailable, std::move(why)));
  }
  void ReplyNext(size_t i = 0) { Reply(Take(i)); }

  std::vector<call::Call*> open;
  std::vector<std::string> methods;  // of all calls, in order
  std::function<void(call::Call*)> at_once;
  int handled = 0;
  int cancelled = 0;
  size_t most_open = 0;

 private:
  void OnCancel(call::Call* call) override {
    cancelled++;
    std::erase(open, call);
  }
};

}  // namespace trestle::tests
