// MuxSessionTest: one mux session over a transport in memory, with the backend at its far end.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backend/mux_session.h"
#include "tests/backend/mux_wire.h"
#include "tests/backend/session_fixture.h"

namespace trestle::backend {

using mux::ReplyStatus;
using mux::Type;
using std::chrono::seconds;

class MuxSessionTest : public testing::Test {
 protected:
  MuxSessionTest() {
    options_.ping_interval = base::Duration(0);
    options_.wire = Wire::kMux;
  }
  void TearDown() override {
    session_.reset();
    Settle(&loop_);
    EXPECT_EQ(Gauge("sessions"), 0);
    EXPECT_EQ(Gauge("tags_in_use"), 0);
    EXPECT_EQ(Gauge("tags_abandoned"), 0);
  }
  void Open(const MuxTerms& terms = {true, UINT32_MAX}, size_t capacity = 1 << 22,
            std::string_view unread = {}) {
    session_.reset();
    auto [near, far] = tests::MemoryTransport::Pair(&loop_, capacity);
    near->set_peer({*net::Address::Parse("10.0.0.1", 80), {}});
    near_ = near.get();
    far_ = std::move(far);
    owner_ = LosingOwner();
    Opened opened{std::move(near), base::Buffer::Copy(unread), terms};
    session_ = std::make_unique<MuxSession>(
        &loop_, options_, &owner_, std::move(opened),
        Spoken::By(options_, Protocol::kBinary, false, Wire::kMux), metrics_);
    session_->Start();
    Settle(&loop_);
  }
  void Send(TestCall& call) {
    ASSERT_TRUE(session_->HasRoom());
    session_->Send(&call.call);
    Settle(&loop_);
  }
  // What the backend reads.
  std::vector<MuxMessage> Read() {
    std::string all;
    for (;;) {
      Settle(&loop_);
      char some[4096];
      net::IoResult r = far_->Read(some, sizeof some);
      if (r.kind != net::IoResult::Kind::kBytes) return TakeMux(&all);
      all.append(some, r.bytes);
    }
  }
  // Sends the call; gives its one message.
  MuxMessage SendOne(TestCall& call) {
    Send(call);
    auto sent = Read();
    EXPECT_EQ(sent.size(), 1u);
    return sent.empty() ? MuxMessage() : sent.front();
  }
  void Say(std::string_view bytes) {
    far_->Send(bytes);
    Settle(&loop_);
  }
  void Advance(base::Duration by) {
    clock_.Advance(by);
    Settle(&loop_);
  }
  uint64_t Count(std::string_view name) { return table_.root()->counter(name)->value(); }
  int64_t Gauge(std::string_view name) { return table_.root()->gauge(name)->value(); }
  bool Dead() const { return owner_.dead > 0; }

  base::FakeClock clock_;
  net::EventLoop loop_{&clock_};
  base::MetricsTable table_;
  MuxMetrics metrics_{table_.root()};
  Options options_;
  LosingOwner owner_;
  tests::MemoryTransport* near_ = nullptr;
  std::unique_ptr<tests::MemoryTransport> far_;
  std::unique_ptr<MuxSession> session_;
};

}  // namespace trestle::backend
