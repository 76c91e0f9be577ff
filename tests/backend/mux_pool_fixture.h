// MuxPoolTest: a client whose endpoints speak mux; the test plays the backends.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/backend/client_fixture.h"
#include "tests/backend/mux_wire.h"

namespace trestle::backend {

using call::End;
using mux::ReplyStatus;
using mux::Type;
using std::chrono::milliseconds;
using std::chrono::seconds;
using tests::Settle;

class MuxPoolTest : public ClientTest {
 protected:
  MuxPoolTest() {
    options_.wire = Wire::kMux;
    options_.ping_interval = base::Duration(0);
  }
  void TearDown() override {
    client_.reset();
    Settle(&loop_);
    EXPECT_EQ(MuxGauge("sessions"), 0);
    EXPECT_EQ(MuxGauge("tags_in_use"), 0);
    EXPECT_EQ(MuxGauge("tags_abandoned"), 0);
    ClientTest::TearDown();
  }
  void Open() { Use({At("10.0.0.1")}); }
  size_t Opened() { return net_ ? net_->backends.size() : 0; }
  // The far ends in the order of their connections.
  tests::MemoryTransport& Far(size_t i) { return *net_->backends.at(i)->end; }
  void Say(size_t i, std::string_view bytes) {
    Far(i).Send(bytes);
    Settle(&loop_);
  }
  std::vector<MuxMessage> Read(size_t i) {
    std::string in = Far(i).TakeAll();
    return TakeMux(&in);
  }
  // The handshake, on every connection that waits for it.
  void Shake() {
    for (size_t i = shaken_; i < Opened(); i++) ShakeOne(i);
    shaken_ = Opened();
  }
  void ShakeOne(size_t i) {
    const auto probe = Read(i);
    ASSERT_EQ(probe.size(), 1u) << "connection " << i;
    Say(i, probe[0].bytes);
    const auto init = Read(i);
    ASSERT_EQ(init.size(), 1u);
    ASSERT_EQ(init[0].type, Type::kTinit);
    std::string body(2, '\1');
    body[0] = '\0';
    Say(i, mux::ShowMessage(Type::kRinit, 1, body));
  }
  // The tags of the calls that came on connection `i`.
  std::vector<uint32_t> Calls(size_t i) {
    std::vector<uint32_t> tags;
    for (const MuxMessage& m : Read(i)) {
      if (m.type == Type::kTdispatch) tags.push_back(m.tag);
    }
    return tags;
  }
  uint64_t MuxCount(std::string_view name) { return CountOf("mux", name); }
  int64_t MuxGauge(std::string_view name) {
    return table_.root()->Child("mux")->gauge(name)->value();
  }

  size_t shaken_ = 0;
};

}  // namespace trestle::backend
