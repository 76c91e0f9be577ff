// FakeSink and FakeSource: the backend's end of a large message in the server's tests.
//
// Lifetime: outlives the call. Threading: one loop. Errors: what breaks the contract of call::Body
// fails the test.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <utility>

#include "call/call.h"
#include "tests/support/thrift_wire.h"

namespace trestle::tests {

// Takes the body of a request.
class FakeSink final : public call::BodySink {
 public:
  bool OnBody(call::Call* call, base::Buffer bytes) override {
    EXPECT_EQ(call->request_body.sink, this);
    EXPECT_FALSE(bytes.empty());
    got += bytes.ToString();
    rest = call->request_body.rest;
    if (then) then(call);
    return room;
  }
  // Takes it up, as a backend session does when it has the call.
  void TakeUp(call::Call* call) {
    got = call->request.ToString();
    rest = call->request_body.rest;
    call->request_body.sink = this;
    call->request_body.source->OnBodyRoom(call);
  }

  std::string got;  // with the head
  uint64_t rest = 0;
  bool room = true;
  std::function<void(call::Call*)> then;
};

// Gives the body of a reply.
class FakeSource final : public call::BodySource {
 public:
  // Begins the reply of `call`: `frame`, of which the first `head` bytes are here.
  void Begin(call::Call* call, std::string frame, size_t head) {
    left = frame.substr(head);
    call->BeginReply(base::Buffer::Copy(frame.substr(0, head)), thrift::ReplyKind::kResult,
                     left.size(), this);
  }
  void OnBodyRoom(call::Call* call) override {
    asked++;
    Give(call);
  }
  // Hands on what is here, as far as there is room, and ends the reply behind it.
  void Give(call::Call* call) {
    while (!left.empty() && here > 0) {
      const size_t n = std::min({left.size(), chunk, here});
      std::string bytes = left.substr(0, n);
      left.erase(0, n);
      if (here != kAll) here -= n;
      call->reply_body.rest = left.size();
      if (!call->reply_body.sink->OnBody(call, base::Buffer::Copy(bytes))) return;
    }
    if (left.empty() && !std::exchange(done, true)) call->EndReply();
  }

  static constexpr size_t kAll = ~size_t{0};
  std::string left;
  size_t chunk = 16 * 1024;
  size_t here = kAll;  // how much of it has come from the backend
  int asked = 0;
  bool done = false;
};

}  // namespace trestle::tests
