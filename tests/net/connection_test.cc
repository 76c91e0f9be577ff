#include "net/connection.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "tests/net/recording_owner.h"
#include "tests/support/memory_transport.h"

namespace trestle::net {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using tests::MemoryTransport;
using tests::Settle;

class ConnectionTest : public testing::Test {
 protected:
  void Open(size_t capacity = 1 << 20) {
    auto [near, far] = MemoryTransport::Pair(&loop_, capacity);
    near_ = near.get();
    far_ = std::move(far);
    connection_ = std::make_unique<Connection>(&loop_, std::move(near), &owner_);
    connection_->Start();
    Settle(&loop_);
  }
  void Write(std::string_view bytes) { connection_->Write(base::Buffer::Copy(bytes)); }
  // What the peer reads, until there is no more.
  std::string Drink() {
    std::string all;
    for (;;) {
      char some[4096];
      IoResult r = far_->Read(some, sizeof some);
      if (r.kind != IoResult::Kind::kBytes) return all;
      all.append(some, r.bytes);
      Settle(&loop_);
    }
  }

  base::FakeClock clock_;
  EventLoop loop_{&clock_};
  RecordingOwner owner_;
  MemoryTransport* near_ = nullptr;
  std::unique_ptr<MemoryTransport> far_;
  std::unique_ptr<Connection> connection_;
};

// --- what was read before it began ---

class ConnectionStartTest : public ConnectionTest {
 protected:
  void Begin(std::string_view unread) {
    auto [near, far] = MemoryTransport::Pair(&loop_);
    near_ = near.get();
    far_ = std::move(far);
    connection_ = std::make_unique<Connection>(&loop_, std::move(near), &owner_);
    connection_->Start(base::Buffer::Copy(unread));
  }
};

TEST_F(ConnectionStartTest, WhatWasReadBeforeIsOfferedFirstAndNotInsideStart) {
  Begin("early ");
  EXPECT_EQ(owner_.offers, 0);
  far_->Send("late");
  Settle(&loop_);
  EXPECT_EQ(owner_.got, "early late");
  EXPECT_EQ(connection_->received(), 10u);
}

TEST_F(ConnectionStartTest, WithNothingReadBeforeNothingIsOffered) {
  Begin("");
  Settle(&loop_);
  EXPECT_EQ(owner_.offers, 0);
}

TEST_F(ConnectionStartTest, WhatTheOwnerLeavesOfItStaysInFront) {
  owner_.take_at_most = 2;
  Begin("abc");
  Settle(&loop_);
  EXPECT_EQ(owner_.got, "ab");
  far_->Send("d");
  Settle(&loop_);
  EXPECT_EQ(owner_.got, "abcd");
}

TEST_F(ConnectionStartTest, AnAnswerToItGoesOutInTheSameTurn) {
  owner_.on_bytes = [&](base::Buffer*) { Write("answer"); };
  Begin("x");
  loop_.Poll();
  EXPECT_EQ(far_->TakeAll(), "answer");
}

TEST_F(ConnectionStartTest, PausedItWaitsForResume) {
  Begin("early");
  connection_->PauseReading();
  Settle(&loop_);
  EXPECT_EQ(owner_.offers, 0);
  connection_->ResumeReading();
  EXPECT_EQ(owner_.got, "early");
  Settle(&loop_);
  EXPECT_EQ(owner_.offers, 1);
}

TEST_F(ConnectionStartTest, ClosedAtOnceNothingIsOffered) {
  Begin("early");
  connection_->Close();
  Settle(&loop_);
  EXPECT_EQ(owner_.told(), 0);
}

TEST_F(ConnectionStartTest, TheOwnerMayCloseItInTheOffer) {
  owner_.on_bytes = [&](base::Buffer*) { connection_->Close(); };
  Begin("early");
  Settle(&loop_);
  EXPECT_EQ(owner_.offers, 1);
  EXPECT_TRUE(far_->peer_ended());
}

TEST_F(ConnectionStartTest, TheEndOfTheStreamIsToldBehindIt) {
  owner_.on_end = [&] { EXPECT_EQ(owner_.got, "early"); };
  Begin("early");
  far_->ShutdownWrite();
  Settle(&loop_);
  EXPECT_EQ(owner_.ends, 1);
}

TEST_F(ConnectionTest, TheWritesOfATurnGoOutInOneCall) {
  Open();
  loop_.Post([&] {
    for (int i = 0; i < 50; i++) Write("0123456789");
    EXPECT_EQ(near_->writes(), 0) << "nothing is written before the turn's end";
    EXPECT_EQ(connection_->unsent(), 500u);
    EXPECT_EQ(connection_->queued(), 500u);
    EXPECT_EQ(connection_->sent(), 0u);
  });
  Settle(&loop_);
  EXPECT_EQ(near_->writes(), 1);
  EXPECT_EQ(connection_->sent(), 500u);
  EXPECT_EQ(connection_->unsent(), 0u);
  EXPECT_EQ(Drink().size(), 500u);
  EXPECT_EQ(owner_.flushed, 0) << "nobody had to wait";
}

TEST_F(ConnectionTest, WhatIsNotTakenAtOnceWaitsAndArrivesWhole) {
  Open(1000);
  std::string sent;
  for (int i = 0; i < 300; i++) sent += std::to_string(i) + " and so on, ";
  Write(sent.substr(0, 2000));
  Settle(&loop_);
  EXPECT_EQ(connection_->sent(), 1000u);
  EXPECT_EQ(owner_.flushed, 0);
  Write(sent.substr(2000));  // while the first still waits
  EXPECT_EQ(Drink(), sent);
  EXPECT_EQ(connection_->unsent(), 0u);
  EXPECT_EQ(owner_.flushed, 1);
}

TEST_F(ConnectionTest, ManySmallPiecesGoOutInOrder) {
  Open();
  std::string sent;
  for (int i = 0; i < 1000; i++) {
    std::string piece = std::to_string(i) + ",";
    Write(piece);
    sent += piece;
  }
  Settle(&loop_);
  EXPECT_EQ(Drink(), sent);
  EXPECT_LE(near_->writes(), 1 + 1000 / 64);
}

TEST_F(ConnectionTest, BytesThatWereNotTakenAreOfferedWithTheNext) {
  Open();
  owner_.take = false;
  far_->Send("ab");
  Settle(&loop_);
  EXPECT_EQ(connection_->unread(), 2u);
  owner_.take = true;
  far_->Send("cd");
  Settle(&loop_);
  EXPECT_EQ(owner_.got, "abcd");
  EXPECT_EQ(connection_->received(), 4u);
}

TEST_F(ConnectionTest, ByteByByteTheStreamIsTheSame) {
  Open();
  near_->set_max_read(1);
  std::string sent(300, 'x');
  for (size_t i = 0; i < sent.size(); i++) sent[i] = static_cast<char>(i);
  far_->Send(sent);
  Settle(&loop_);
  EXPECT_EQ(owner_.got, sent);
  EXPECT_EQ(owner_.offers, 300);
}

TEST_F(ConnectionTest, PausedItReadsNothingAndResumedItOffersWhatIsThere) {
  Open();
  owner_.take_at_most = 1;
  owner_.on_bytes = [this](base::Buffer*) { connection_->PauseReading(); };
  far_->Send("abc");
  Settle(&loop_);
  EXPECT_EQ(owner_.got, "a");
  EXPECT_TRUE(connection_->paused());
  far_->Send("def");
  Settle(&loop_);
  EXPECT_EQ(owner_.got, "a");
  EXPECT_EQ(connection_->received(), 3u) << "read from the peer while paused";
  connection_->ResumeReading();
  EXPECT_EQ(owner_.got, "ab") << "without new bytes";
  owner_.take_at_most = 100;
  owner_.on_bytes = nullptr;
  connection_->ResumeReading();
  Settle(&loop_);
  EXPECT_EQ(owner_.got, "abcdef");
}

TEST_F(ConnectionTest, WrittenOutWhilePausedIsTold) {
  Open();
  connection_->PauseReading();
  Write("x");
  Settle(&loop_);
  EXPECT_EQ(owner_.flushed, 1);
}

TEST_F(ConnectionTest, TheEndOfTheStreamIsToldOnceAndWritingGoesOn) {
  Open();
  far_->Send("last");
  far_->ShutdownWrite();
  Settle(&loop_);
  EXPECT_EQ(owner_.got, "last");
  EXPECT_EQ(owner_.ends, 1);
  EXPECT_TRUE(connection_->ended());
  Write("reply");
  Settle(&loop_);
  EXPECT_EQ(Drink(), "reply");
  EXPECT_EQ(owner_.ends, 1);
  EXPECT_EQ(owner_.gone, 0);
}

TEST_F(ConnectionTest, AnEndIsToldAheadOnceWhilePaused) {
  Open();
  connection_->PauseReading();
  far_->Send("abc");
  Settle(&loop_);
  EXPECT_EQ(owner_.told(), 0);
  far_->ShutdownWrite();
  Settle(&loop_);
  EXPECT_EQ(owner_.ahead, 1);
  connection_->ResumeReading();
  connection_->PauseReading();
  Settle(&loop_);
  EXPECT_EQ(owner_.told(), 1);
  connection_->ResumeReading();
  Settle(&loop_);
  EXPECT_EQ(owner_.got, "abc");
  EXPECT_EQ(owner_.ahead, 1);
  EXPECT_EQ(owner_.ends, 1);
}

TEST_F(ConnectionTest, AResetIsToldOnceWhateverTheConnectionDoes) {
  enum class State { kReading, kPaused, kEnded, kBlocked };
  for (State state : {State::kReading, State::kPaused, State::kEnded, State::kBlocked}) {
    SCOPED_TRACE(static_cast<int>(state));
    owner_ = RecordingOwner();
    Open(10);
    if (state == State::kPaused) connection_->PauseReading();
    if (state == State::kEnded) far_->ShutdownWrite();
    if (state == State::kBlocked) Write(std::string(100, 'x'));
    Settle(&loop_);
    far_->Close(true);
    Settle(&loop_);
    EXPECT_EQ(owner_.gone, 1);
    EXPECT_EQ(owner_.why.code(), base::Code::kClosed);
    EXPECT_TRUE(connection_->closed());
    const int told = owner_.told();
    Write("nobody hears this");
    connection_->PauseReading();
    connection_->ResumeReading();
    connection_->CloseAfterWrites();
    connection_->Close();
    Settle(&loop_);
    EXPECT_EQ(owner_.told(), told) << "something after the last call";
  }
}

TEST_F(ConnectionTest, AWriteThatFailsIsTheEnd) {
  Open();
  far_->Close(true);
  Write("x");
  Settle(&loop_);
  EXPECT_EQ(owner_.gone, 1);
  EXPECT_EQ(owner_.ends + owner_.closed, 0);
}

TEST_F(ConnectionTest, AfterCloseNothingIsTold) {
  Open(10);
  far_->Send("unread");
  Write(std::string(100, 'x'));
  connection_->Close();
  far_->ShutdownWrite();
  Settle(&loop_);
  EXPECT_EQ(owner_.told(), 0);
  EXPECT_TRUE(far_->peer_ended());
  EXPECT_FALSE(far_->peer_reset());
}

TEST_F(ConnectionTest, CloseInsideACallbackIsTheEndOfCallbacks) {
  Open();
  near_->set_max_read(1);
  owner_.on_bytes = [this](base::Buffer*) { connection_->Close(); };
  far_->Send("abc");
  far_->ShutdownWrite();
  Settle(&loop_);
  EXPECT_EQ(owner_.got, "a");
  EXPECT_EQ(owner_.told(), 1);
}

TEST_F(ConnectionTest, ItMayBeDeletedLaterFromItsOwnCallback) {
  Open();
  owner_.on_bytes = [this](base::Buffer*) {
    Write("unsent");
    connection_->Close(true);
    loop_.DeleteLater(std::move(connection_));
  };
  far_->Send("abc");
  Settle(&loop_);
  EXPECT_EQ(owner_.told(), 1);
  EXPECT_TRUE(far_->peer_reset());
}

TEST_F(ConnectionTest, CloseAfterWritesWritesAllThenEndsThenWaitsForThePeer) {
  Open(100);
  Write(std::string(450, 'x'));
  connection_->CloseAfterWrites();
  Settle(&loop_);
  EXPECT_TRUE(connection_->closing());
  EXPECT_FALSE(far_->peer_ended()) << "ended with output left";
  EXPECT_EQ(Drink(), std::string(450, 'x'));
  EXPECT_TRUE(far_->peer_ended());
  EXPECT_EQ(owner_.closed, 0) << "the peer has not ended";
  far_->Send("too late");
  Settle(&loop_);
  EXPECT_EQ(owner_.offers, 0) << "what comes while closing is dropped";
  far_->ShutdownWrite();
  Settle(&loop_);
  EXPECT_EQ(owner_.closed, 1);
  EXPECT_TRUE(connection_->closed());
  EXPECT_EQ(owner_.told(), 1 + owner_.flushed);
}

TEST_F(ConnectionTest, CloseAfterWritesWithAPeerThatEndedClosesWhenWritten) {
  for (bool blocked : {false, true}) {
    owner_ = RecordingOwner();
    Open(blocked ? 10 : 1000);
    far_->ShutdownWrite();
    Settle(&loop_);
    Write(std::string(100, 'x'));
    connection_->CloseAfterWrites();
    EXPECT_EQ(owner_.closed, 0);
    Settle(&loop_);
    EXPECT_EQ(Drink(), std::string(100, 'x'));
    EXPECT_EQ(owner_.closed, 1);
    EXPECT_EQ(owner_.ends, 1);
  }
}

TEST_F(ConnectionTest, APeerThatEndsWhileOutputWaitsIsClosedAfterIt) {
  Open(10);
  Write(std::string(100, 'x'));
  connection_->CloseAfterWrites();
  Settle(&loop_);
  far_->ShutdownWrite();
  Settle(&loop_);
  EXPECT_EQ(owner_.closed, 0);
  EXPECT_EQ(Drink(), std::string(100, 'x'));
  EXPECT_EQ(owner_.closed, 1);
  EXPECT_EQ(owner_.ends, 0) << "closing: the end is no news";
}

TEST_F(ConnectionTest, CloseAfterWritesFromPauseAndWithNothingToWrite) {
  Open();
  connection_->PauseReading();
  far_->Send("unread");
  connection_->CloseAfterWrites();
  Settle(&loop_);
  EXPECT_TRUE(far_->peer_ended());
  far_->Close(false);
  Settle(&loop_);
  EXPECT_EQ(owner_.closed, 1);
}

TEST_F(ConnectionTest, AResetWhileClosingIsTheCloseThatWasAskedFor) {
  for (bool blocked : {false, true}) {
    owner_ = RecordingOwner();
    Open(blocked ? 10 : 1000);
    Write(std::string(100, 'x'));
    connection_->CloseAfterWrites();
    Settle(&loop_);
    far_->Close(true);
    Settle(&loop_);
    EXPECT_EQ(owner_.closed, 1);
    EXPECT_EQ(owner_.gone, 0);
  }
}

TEST_F(ConnectionTest, WhatIsWrittenAfterTheEndWasSaidIsDropped) {
  Open();
  connection_->CloseAfterWrites();
  Settle(&loop_);
  const int writes = near_->writes();
  Write("too late");
  Settle(&loop_);
  EXPECT_EQ(near_->writes(), writes);
  EXPECT_EQ(owner_.closed, 0);
  far_->ShutdownWrite();
  Settle(&loop_);
  EXPECT_EQ(owner_.closed, 1);
}

TEST_F(ConnectionTest, ALargeMessageInCrumbsHoldsFewTimesItsSize) {
  Open(1 << 22);
  owner_.take = false;
  near_->set_max_read(100);
  const size_t before = base::Block::BytesOnThread();
  const std::string crumb(100, 'x');
  size_t sent = 0;
  while (sent < 400'000) {
    far_->Send(crumb);
    Settle(&loop_);
    sent += crumb.size();
    // The loop's own block for reading, the least that a piece holds, and eight times the bytes.
    ASSERT_LE(base::Block::BytesOnThread() - before, 2 * base::Arena::kBlockBytes + 8 * sent)
        << "after " << sent << " bytes";
  }
  EXPECT_EQ(connection_->unread(), sent);
}

TEST_F(ConnectionTest, ManyIdleConnectionsWithAFewBytesHoldLittle) {
  const size_t before = base::Block::BytesOnThread();
  struct One {
    RecordingOwner owner;
    std::unique_ptr<MemoryTransport> far;
    std::unique_ptr<Connection> connection;
  };
  std::vector<std::unique_ptr<One>> all;
  for (int i = 0; i < 200; i++) {
    auto one = std::make_unique<One>();
    auto [near, far] = MemoryTransport::Pair(&loop_);
    one->owner.take = false;
    one->far = std::move(far);
    one->connection = std::make_unique<Connection>(&loop_, std::move(near), &one->owner);
    one->connection->Start();
    one->far->Send("abc");
    Settle(&loop_);
    all.push_back(std::move(one));
  }
  EXPECT_LE(base::Block::BytesOnThread() - before, 2 * base::Arena::kBlockBytes + 200 * 1024);
}

// --- timeouts of the stream ---

TEST_F(ConnectionTest, SilenceForTheReadTimeoutBreaksIt) {
  Open();
  connection_->SetTimeouts(seconds(10), std::nullopt);
  for (int i = 0; i < 5; i++) {
    clock_.Advance(seconds(9));
    Settle(&loop_);
    far_->Send("x");
    Settle(&loop_);
  }
  EXPECT_EQ(owner_.gone, 0);
  clock_.Advance(seconds(10) - milliseconds(1));
  Settle(&loop_);
  EXPECT_EQ(owner_.gone, 0);
  clock_.Advance(milliseconds(1));
  Settle(&loop_);
  EXPECT_EQ(owner_.gone, 1);
  EXPECT_EQ(owner_.why.code(), base::Code::kTimeout);
}

TEST_F(ConnectionTest, ThePeersSilenceIsNotBlamedWhileReadingIsPaused) {
  Open();
  connection_->SetTimeouts(seconds(10), std::nullopt);
  connection_->PauseReading();
  clock_.Advance(seconds(60));
  Settle(&loop_);
  EXPECT_EQ(owner_.gone, 0);
  connection_->ResumeReading();
  clock_.Advance(seconds(9));
  Settle(&loop_);
  EXPECT_EQ(owner_.gone, 0);
  clock_.Advance(seconds(1));
  Settle(&loop_);
  EXPECT_EQ(owner_.gone, 1);
}

TEST_F(ConnectionTest, OutputThatNobodyTakesForTheWriteTimeoutBreaksIt) {
  Open(10);
  connection_->SetTimeouts(std::nullopt, seconds(10));
  clock_.Advance(seconds(9));  // idle time does not count
  Settle(&loop_);
  Write(std::string(30, 'x'));
  Settle(&loop_);
  clock_.Advance(seconds(9));
  Settle(&loop_);
  EXPECT_EQ(owner_.gone, 0);
  far_->TakeAll();
  near_->Send("");  // lets the transport see that there is room
  connection_->PauseReading();
  Settle(&loop_);
  clock_.Advance(seconds(9));
  Settle(&loop_);
  EXPECT_EQ(owner_.gone, 0) << "some was taken";
  clock_.Advance(seconds(1));
  Settle(&loop_);
  EXPECT_EQ(owner_.gone, 1);
}

TEST_F(ConnectionTest, TheWriteTimeoutCountsFromTheFirstByteThatWaits) {
  Open(10);
  Write(std::string(10, 'x'));  // fills the peer
  Settle(&loop_);
  connection_->SetTimeouts(std::nullopt, seconds(10));
  clock_.Advance(seconds(9));
  loop_.Post([this] { Write("y"); });  // none of it is taken
  Settle(&loop_);
  clock_.Advance(seconds(9));
  Settle(&loop_);
  EXPECT_EQ(owner_.gone, 0);
  clock_.Advance(seconds(1));
  Settle(&loop_);
  EXPECT_EQ(owner_.gone, 1);
}

}  // namespace
}  // namespace trestle::net
