// Bytes and ends over TLS, in memory.
#include "tls/tls_transport.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "tests/tls/pair_fixture.h"

namespace trestle::tls {
namespace {

class TlsTransportTest : public PairTest {};

TEST_F(TlsTransportTest, BytesGoBothWays) {
  OpenWell();
  EXPECT_EQ(client_.tls->version(), "TLSv1.3");
  client_.Write("ping");
  Settle(&loop_);
  EXPECT_EQ(server_.owner.got, "ping");
  server_.Write("pong");
  Settle(&loop_);
  EXPECT_EQ(client_.owner.got, "pong");
}

TEST_F(TlsTransportTest, WhatIsWrittenBeforeTheHandshakeIsDoneGoesBehindIt) {
  Begin();
  client_.Write("early");
  server_.Write("and back");
  Settle(&loop_);
  EXPECT_EQ(server_.owner.got, "early");
  EXPECT_EQ(client_.owner.got, "and back");
}

}  // namespace
}  // namespace trestle::tls
