// BackendSessionTest: one session over a transport in memory, with the backend at its far end.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backend/thrift_session.h"
#include "tests/backend/test_call.h"
#include "tests/support/memory_transport.h"

namespace trestle::backend {

using call::End;
using call::Step;
using std::chrono::milliseconds;
using tests::CallFrame;
using tests::ExceptionFrame;
using tests::Frame;
using tests::kDeclaredBody;
using tests::kVoidBody;
using tests::Message;
using tests::OnewayFrame;
using tests::ReplyFrame;
using tests::Settle;
using thrift::MessageType;
using thrift::Protocol;

// The pool's place: it fails what is lost.
struct LosingOwner final : SessionOwner {
  void OnRoom(Session* session) override {
    room++;
    if (!session->busy()) idle++;
  }
  void OnDead(Session*) override { dead++; }
  void OnSuccess() override { success++; }
  void OnLetGo(bool out_of_time) override { (out_of_time ? late : let_go)++; }
  void OnLost(call::Call* call, Step step, const base::Status& why, bool call_left,
              bool counts) override {
    lost++;
    failures += counts;
    left = call_left;
    call->Fail(step, why);
  }
  void OnStrayAnswer() override { stray++; }
  void OnNacked(call::Call* call, const base::Status& why) override {
    nacked++;
    call->Fail(Step::kDispatch, why);
  }
  void OnLeaving(Session*) override { leaving++; }
  void OnReturned(call::Call* call) override { returned.push_back(call); }
  void OnLease(Session*) override { leases++; }
  int room = 0, idle = 0, dead = 0, success = 0, late = 0, let_go = 0, lost = 0, stray = 0;
  int failures = 0, nacked = 0, leaving = 0, leases = 0;
  std::vector<call::Call*> returned;
  bool left = false;
};

class BackendSessionTest : public testing::Test {
 protected:
  void Open(size_t capacity = 1 << 20) {
    auto [near, far] = tests::MemoryTransport::Pair(&loop_, capacity);
    near->set_peer({*net::Address::Parse("10.0.0.1", 80), {}});
    near_ = near.get();
    far_ = std::move(far);
    owner_ = LosingOwner();
    session_ =
        std::make_unique<ThriftSession>(&loop_, options_, &owner_, std::move(near),
                                        Spoken::By(options_, protocol_, upgraded_, options_.wire));
    session_->Start();
    Settle(&loop_);
  }
  // Sends the call; gives what the backend reads.
  std::string Send(TestCall& call) {
    session_->Send(&call.call);
    return Read();
  }
  std::string Read() {
    std::string all;
    for (;;) {
      Settle(&loop_);
      char some[4096];
      net::IoResult r = far_->Read(some, sizeof some);
      if (r.kind != net::IoResult::Kind::kBytes) return all;
      all.append(some, r.bytes);
    }
  }
  void Answer(std::string_view bytes) {
    far_->Send(bytes);
    Settle(&loop_);
  }

  base::FakeClock clock_;
  net::EventLoop loop_{&clock_};
  Options options_;
  thrift::Protocol protocol_ = thrift::Protocol::kBinary;
  bool upgraded_ = false;
  LosingOwner owner_;
  tests::MemoryTransport* near_ = nullptr;
  std::unique_ptr<tests::MemoryTransport> far_;
  std::unique_ptr<ThriftSession> session_;
};

}  // namespace trestle::backend
