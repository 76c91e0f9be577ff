// Bytes over TLS, in memory: of all sizes, in pieces, with pauses and full pipes.
#include "tls/tls_transport.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "base/random.h"
#include "tests/tls/pair_fixture.h"

namespace trestle::tls {
namespace {

class TlsTransportTest : public PairTest {};

TEST_F(TlsTransportTest, BytesGoBothWays) {
  OpenWell();
  EXPECT_EQ(client_.tls->version(), "TLSv1.3");
  EXPECT_EQ(client_.tls->peer().address.Show(), "10.0.0.1:443");
  EXPECT_EQ(client_.tls->peer().identity, "a.example");
  EXPECT_EQ(server_.tls->peer().identity, "");
  client_.Write("ping");
  Settle(&loop_);
  EXPECT_EQ(server_.owner.got, "ping");
  server_.Write("pong");
  Settle(&loop_);
  EXPECT_EQ(client_.owner.got, "pong");
  EXPECT_EQ(client_.tls->why(), "");
}

TEST_F(TlsTransportTest, AllSizesArriveWholeInBothVersions) {
  for (const char* version : {"TLSv1.2", "TLSv1.3"}) {
    Forget();
    client_options_.protocols = {version};
    OpenWell();
    EXPECT_EQ(client_.tls->version(), version);
    for (size_t size :
         {1u, 100u, 16'383u, 16'384u, 16'385u, 65'536u, 70'000u, 131'072u, 1'048'576u}) {
      const std::string sent = Pattern(size);
      client_.owner.got = server_.owner.got = "";
      client_.Write(sent);
      server_.Write(sent);
      Settle(&loop_);
      EXPECT_TRUE(server_.owner.got == sent) << size << ": " << server_.owner.got.size();
      EXPECT_TRUE(client_.owner.got == sent) << size << ": " << client_.owner.got.size();
    }
    End2();
  }
}

TEST_F(TlsTransportTest, WhatIsWrittenBeforeTheHandshakeIsDoneGoesBehindIt) {
  Begin();
  client_.Write("early");
  server_.Write("and back");
  Settle(&loop_);
  EXPECT_EQ(server_.owner.got, "early");
  EXPECT_EQ(client_.owner.got, "and back");
}

TEST_F(TlsTransportTest, OneByteAtATimeIsEnough) {
  for (const char* version : {"TLSv1.2", "TLSv1.3"}) {
    Forget();
    client_options_.protocols = {version};
    Begin();
    client_.inner->set_max_read(1);
    server_.inner->set_max_read(1);
    for (int i = 0; i < 20; i++) Settle(&loop_);
    ASSERT_TRUE(server_.tls->open() && client_.tls->open());
    client_.Write(Pattern(3000));
    for (int i = 0; i < 20; i++) Settle(&loop_);
    EXPECT_TRUE(server_.owner.got == Pattern(3000));
    End2();
  }
}

TEST_F(TlsTransportTest, PiecesOfATurnGoOutInOneRecord) {
  OpenWell();
  const int before = client_.inner->writes();
  loop_.Post([&] {
    for (int i = 0; i < 10; i++) client_.Write(std::string(50, static_cast<char>('a' + i)));
  });
  loop_.Poll();
  EXPECT_EQ(client_.inner->writes(), before + 1);
  std::string sealed = server_.inner->TakeAll();
  EXPECT_EQ(sealed.size(), 500 + 5 + 16 + 1u) << "one head, one tag, one type";
}

TEST_F(TlsTransportTest, ALargeWriteTakesFewSystemCalls) {
  OpenWell(4 << 20);
  const int before = client_.inner->writes();
  client_.Write(Pattern(1 << 20));
  loop_.Poll();
  EXPECT_EQ(client_.inner->writes(), before + 16) << "64 KiB each";
}

// --- pipes that are full ---

TEST_F(TlsTransportTest, WhatDoesNotFitWaitsAndGoesOn) {
  for (size_t capacity : {100u, 5000u, 20'000u, 70'000u}) {
    OpenWell(capacity);
    const std::string sent = Pattern(300'000);
    client_.Write(sent);
    server_.Write(sent);
    for (int i = 0; i < 10; i++) Settle(&loop_);
    EXPECT_TRUE(server_.owner.got == sent) << capacity << ": " << server_.owner.got.size();
    EXPECT_TRUE(client_.owner.got == sent) << capacity << ": " << client_.owner.got.size();
    EXPECT_EQ(client_.owner.flushed, 1);
    EXPECT_FALSE(client_.connection->blocked());
    EXPECT_EQ(client_.connection->sent(), sent.size());
    End2();
  }
}

TEST_F(TlsTransportTest, BytesCountAsSentWhenTheirRecordIsGone) {
  OpenWell(40'000);
  server_.connection->PauseReading();
  client_.Write(Pattern(50'000));
  Settle(&loop_);
  EXPECT_TRUE(client_.connection->blocked());
  EXPECT_EQ(client_.connection->sent(), 2 * 16'384u);
  EXPECT_EQ(client_.owner.flushed, 0);
  server_.connection->ResumeReading();
  Settle(&loop_);
  EXPECT_EQ(client_.connection->sent(), 50'000u);
  EXPECT_EQ(client_.owner.flushed, 1);
  EXPECT_TRUE(server_.owner.got == Pattern(50'000));
}

TEST_F(TlsTransportTest, AWriterThatClosesBehindAFullPipeLosesNothing) {
  OpenWell(10'000);
  server_.connection->PauseReading();
  client_.Write(Pattern(50'000));
  client_.connection->CloseAfterWrites();
  Settle(&loop_);
  server_.connection->ResumeReading();
  for (int i = 0; i < 10; i++) Settle(&loop_);
  EXPECT_TRUE(server_.owner.got == Pattern(50'000)) << server_.owner.got.size();
  EXPECT_EQ(server_.owner.ends, 1);
  server_.connection->CloseAfterWrites();
  Settle(&loop_);
  EXPECT_EQ(client_.owner.closed, 1);
  EXPECT_EQ(server_.owner.closed, 1);
}

// --- pauses ---

TEST_F(TlsTransportTest, WhatIsHereWhenReadingGoesOnIsTold) {
  OpenWell();
  // A read takes a part only, and the rest lies decrypted or sealed in memory: no event of the
  // inner transport tells of it.
  server_.owner.on_bytes = [&](base::Buffer*) {
    if (server_.owner.offers == 1) server_.connection->PauseReading();
  };
  client_.Write(Pattern(1'000'000));
  Settle(&loop_);
  EXPECT_LT(server_.owner.got.size(), 1'000'000u);
  EXPECT_EQ(server_.owner.offers, 1);
  server_.connection->ResumeReading();
  Settle(&loop_);
  EXPECT_TRUE(server_.owner.got == Pattern(1'000'000));
}

TEST_F(TlsTransportTest, ASmallRoomIsFilledAgainAndAgain) {
  struct Reader : net::Transport::Events {
    void OnReadable() override {
      char some[7];
      const net::IoResult r = tls->Read(some, sizeof some);
      if (r.kind == Kind::kBytes) got.append(some, r.bytes);
      if (r.kind == Kind::kEnd) ends++;
      if (ends) tls->WatchRead(net::Transport::Watch::kHangup);
    }
    void OnWritable() override {}
    void OnHangup() override {}
    void OnEndAhead() override {}
    TlsTransport* tls = nullptr;
    std::string got;
    int ends = 0;
  } reader;
  OpenWell();
  reader.tls = server_.tls;
  server_.tls->Attach(&reader);
  client_.Write(Pattern(40'000));
  Settle(&loop_);
  EXPECT_TRUE(reader.got == Pattern(40'000)) << reader.got.size();
  client_.connection->CloseAfterWrites();
  Settle(&loop_);
  EXPECT_EQ(reader.ends, 1);
  server_.tls->Attach(nullptr);
}

TEST_F(TlsTransportTest, TicketsAreNotBytes) {
  OpenWell();
  client_.tls->WatchRead(net::Transport::Watch::kOff);
  EXPECT_FALSE(client_.tls->Readable());
  server_.Write("x");
  Settle(&loop_);
  EXPECT_EQ(client_.owner.got, "");
  EXPECT_TRUE(client_.tls->Readable());
  EXPECT_TRUE(client_.tls->Readable());
  client_.tls->WatchRead(net::Transport::Watch::kRead);
  Settle(&loop_);
  EXPECT_EQ(client_.owner.got, "x");
  EXPECT_FALSE(client_.tls->Readable());
}

TEST_F(TlsTransportTest, AnEndIsReadableToo) {
  OpenWell();
  client_.tls->WatchRead(net::Transport::Watch::kOff);
  server_.connection->CloseAfterWrites();
  Settle(&loop_);
  EXPECT_TRUE(client_.tls->Readable());
  client_.tls->WatchRead(net::Transport::Watch::kRead);
  Settle(&loop_);
  EXPECT_EQ(client_.owner.ends, 1);
}

// --- all of it at random ---

TEST_F(TlsTransportTest, WhateverHappensAllBytesArriveInOrder) {
  base::SeededRandom random(7);
  for (int round = 0; round < 20; round++) {
    SCOPED_TRACE(round);
    OpenWell(1 + random.Below(50'000));
    std::string sent[2];
    End* ends[2] = {&client_, &server_};
    for (int step = 0; step < 200; step++) {
      const size_t who = random.Below(2);
      End* end = ends[who];
      switch (random.Below(5)) {
        case 0:
        case 1: {
          const std::string bytes = Pattern(random.Below(random.Below(4) == 0 ? 60'000 : 300));
          sent[who] += bytes;
          end->Write(bytes);
          break;
        }
        case 2:
          end->connection->PauseReading();
          break;
        case 3:
          end->connection->ResumeReading();
          break;
        default:
          end->inner->set_max_read(1 + random.Below(random.Below(2) == 0 ? 50 : 40'000));
      }
      for (size_t turns = random.Below(6); turns > 0; turns--) loop_.Poll();
    }
    for (End* end : ends) {
      end->inner->set_max_read(~size_t{0});
      end->connection->ResumeReading();
    }
    for (int i = 0; i < 50; i++) Settle(&loop_);
    EXPECT_TRUE(server_.owner.got == sent[0]) << server_.owner.got.size() << " " << sent[0].size();
    EXPECT_TRUE(client_.owner.got == sent[1]) << client_.owner.got.size() << " " << sent[1].size();
    End2();
  }
}

// --- in the middle of a stream ---

TEST_F(TlsTransportTest, WhatWasReadBeforeItBeganIsPartOfTheHandshake) {
  client_context_ = Load(client_options_);
  server_context_ = Load(server_options_);
  auto [near, far] = MemoryTransport::Pair(&loop_);
  auto client = TlsTransport::Client(&loop_, std::move(near), client_context_, nullptr);
  client_.tls = client.get();
  Own(&client_, std::move(client));
  base::Buffer unread = base::Buffer::Copy(far->TakeAll());
  ASSERT_GT(unread.size(), 100u);
  auto server = TlsTransport::Server(&loop_, std::move(far), server_context_, std::move(unread));
  server_.tls = server.get();
  Own(&server_, std::move(server));
  client_.Write("hello");
  Settle(&loop_);
  EXPECT_EQ(server_.owner.got, "hello");
}

}  // namespace
}  // namespace trestle::tls
