// ZkTest: a ZooKeeper in memory, and a loop whose clock the test turns.
//
// Lifetime: of a test. Threading: one loop. Errors: none.
#pragma once

#include <gtest/gtest.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "net/event_loop.h"
#include "tests/serversets/fake_zk.h"

namespace trestle::serversets {

class ZkTest : public testing::Test {
 protected:
  void Drain() {
    for (int i = 0; i < 100'000 && loop_.Poll(); i++) {
    }
  }
  void Pass(base::Duration time) {
    Drain();
    clock_.Advance(time);
    Drain();
  }

  base::FakeClock clock_;
  net::EventLoop loop_{&clock_};
  base::MetricsTable table_;
  FakeZk zk_{&loop_};
};

}  // namespace trestle::serversets
