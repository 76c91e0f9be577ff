// PoolTest: a client with one endpoint, whose connections the test plays.
#pragma once

#include <string>

#include "tests/backend/client_fixture.h"

namespace trestle::backend {

class PoolTest : public ClientTest {
 protected:
  void Open() { Use({At("10.0.0.1")}); }
  // The far ends in the order of their connections.
  tests::MemoryTransport& Far(size_t i) { return *net_->backends.at(i)->end; }
  void AnswerAt(size_t i) {
    std::string in = Far(i).TakeAll();
    auto calls = tests::TakeMessages(&in);
    ASSERT_EQ(calls.size(), 1u) << "connection " << i;
    Far(i).Send(tests::ReplyFrame(calls[0].name, calls[0].seqid));
    tests::Settle(&loop_);
  }
  size_t Opened() { return net_->backends.size(); }
};

}  // namespace trestle::backend
