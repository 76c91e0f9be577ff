// One backend connection with messages that are not held whole.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tests/backend/session_fixture.h"

namespace trestle::backend {
namespace {

constexpr size_t kRoom = 256 * 1024;  // what waits for the backend before the client has to

// A call with its client, who gives a large request and takes a large reply.
struct LargeCall final : call::BodySource, call::BodySink, call::Observer {
  // A request of `size` bytes of body, of which `here` are there.
  LargeCall(size_t size, size_t here) {
    body = std::string(size, 'q');
    for (size_t i = 0; i < size; i++) body[i] = static_cast<char>('a' + i % 26);
    const std::string frame = CallFrame("m", 9, body);
    call.method = "m";
    thrift::DecodeEnvelope(Protocol::kBinary, std::string_view(frame).substr(4), &call.envelope);
    call.envelope.name = call.method;
    at = frame.size() - (size - here);
    call.request = base::Buffer::Copy(frame.substr(0, at));
    call.streamed = here < size;
    call.request_body = {frame.size() - at, this, nullptr};
    call.sink = this;
    all = frame;
  }
  ~LargeCall() override {
    if (!call.ended()) call.Cancel();
  }
  // Hands on `n` bytes; gives what the session said.
  bool Give(size_t n) {
    n = std::min<size_t>(n, call.request_body.rest);
    call.request_body.rest -= n;
    at += n;
    return call.request_body.sink->OnBody(&call, base::Buffer::Copy(all.substr(at - n, n)));
  }
  void OnBodyRoom(call::Call*) override {
    asked++;
    if (give_all) {
      while (call.request_body.rest > 0 && call.request_body.sink && Give(10'000)) {
      }
    }
  }
  bool OnBody(call::Call*, base::Buffer bytes) override {
    pieces++;
    reply += bytes.ToString();
    return room;
  }
  void Take() {
    call.reply_body.sink = this;
    call.reply_body.source->OnBodyRoom(&call);
  }
  void OnReplyBegun(call::Call*) override {
    begun++;
    reply = call.reply.ToString();
    call.reply.Clear();
    if (take) Take();
  }
  void OnEnded(call::Call*) override {
    ends++;
    EXPECT_EQ(ends, 1);
    if (!begun) reply = call.reply.ToString();
  }

  call::Call call;
  std::string body, all, reply;
  size_t at = 0;
  int asked = 0, begun = 0, pieces = 0, ends = 0;
  bool give_all = false, take = true, room = true;
};

class BodyTest : public BackendSessionTest {
 protected:
  // A large reply to seqid `seqid`, as a backend writes it and as the caller is to get it.
  static std::string Reply(size_t size, int32_t seqid) {
    std::string body("\x0b\0\0", 3);
    body.resize(7);
    thrift::WriteU32(body.data() + 3, static_cast<uint32_t>(size));
    body += std::string(size, 'r') + '\0';
    return ReplyFrame("m", seqid, body);
  }
  void Advance(milliseconds by) {
    clock_.Advance(by);
    Settle(&loop_);
  }
};

// --- requests ---

TEST_F(BodyTest, ALargeRequestGoesThroughInPieces) {
  for (auto framing : {thrift::Framing::kFramed, thrift::Framing::kBuffered}) {
    options_.framing = framing;
    Open();
    LargeCall c(300'000, 100);
    c.give_all = true;
    session_->Send(&c.call);
    EXPECT_FALSE(session_->HasRoom());
    std::string want = CallFrame("m", 1, c.body);
    if (framing == thrift::Framing::kBuffered) want.erase(0, 4);
    EXPECT_EQ(Read(), want);
    EXPECT_EQ(c.call.request_body.sink, nullptr);
    EXPECT_EQ(c.call.step, Step::kReply);
    Answer(framing == thrift::Framing::kFramed ? ReplyFrame("m", 1) : ReplyFrame("m", 1).substr(4));
    EXPECT_EQ(c.reply, ReplyFrame("m", 9));
    EXPECT_EQ(owner_.idle, 1);
    EXPECT_EQ(owner_.dead, 0);
  }
}

TEST_F(BodyTest, NothingIsAskedForBeforeTheFirstByteLeft) {
  Open();
  far_->Close(true);
  LargeCall c(1000, 10);
  c.give_all = true;
  session_->Send(&c.call);
  Settle(&loop_);
  EXPECT_EQ(c.asked, 0);
  EXPECT_FALSE(owner_.left) << "it can be sent elsewhere";
  EXPECT_EQ(c.call.request_body.sink, nullptr);
  EXPECT_FALSE(c.call.request.empty());
}

TEST_F(BodyTest, ABackendThatReadsSlowlySlowsTheClient) {
  Open(1000);
  LargeCall c(4 << 20, 10);
  session_->Send(&c.call);
  Settle(&loop_);
  EXPECT_EQ(c.asked, 1);
  size_t given = 0;
  while (c.Give(10'000)) given += 10'000;
  EXPECT_LE(given, kRoom + 20'000);
  Settle(&loop_);
  EXPECT_EQ(c.asked, 1) << "not while it waits";
  c.give_all = true;
  EXPECT_EQ(Read().size(), c.all.size());
  EXPECT_GT(c.asked, 4);
  EXPECT_LT(base::Block::BytesOnThread(), 2 * kRoom + (c.all.size()));
}

TEST_F(BodyTest, AReplyBeforeTheRequestIsWholeIsTakenAndTheConnectionIsNotUsedAgain) {
  Open();
  LargeCall c(1000, 10);
  session_->Send(&c.call);
  Read();
  c.Give(100);
  Answer(ExceptionFrame("m", 1, "too large"));
  ASSERT_EQ(c.call.end(), End::kReplied);
  EXPECT_EQ(c.reply, ExceptionFrame("m", 9, "too large"));
  EXPECT_EQ(c.call.request_body.sink, nullptr);
  EXPECT_EQ(owner_.dead, 1);
  EXPECT_EQ(owner_.idle, 0);
}

TEST_F(BodyTest, ABackendThatVanishesInMidRequestFailsTheCallForGood) {
  for (bool reset : {false, true}) {
    Open();
    LargeCall c(1000, 10);
    session_->Send(&c.call);
    Read();
    c.Give(100);
    Settle(&loop_);
    far_->Close(reset);
    Settle(&loop_);
    ASSERT_EQ(c.call.end(), End::kFailed);
    EXPECT_TRUE(owner_.left);
    EXPECT_EQ(c.call.request_body.sink, nullptr);
    EXPECT_EQ(owner_.dead, 1);
  }
}

TEST_F(BodyTest, AClientThatGoesAwayInMidRequestClosesTheConnection) {
  Open();
  LargeCall c(1000, 10);
  session_->Send(&c.call);
  Read();
  c.call.Cancel();
  EXPECT_EQ(c.call.request_body.sink, nullptr);
  EXPECT_EQ(owner_.let_go, 1);
  EXPECT_EQ(owner_.dead, 1);
}

TEST_F(BodyTest, AClientThatSendsNoMoreOfItsRequestIsNotTheBackendsFault) {
  Open();
  LargeCall c(1000, 10);
  session_->Send(&c.call);
  Read();
  for (int i = 0; i < 3; i++) {
    Advance(milliseconds(9999));
    c.Give(100);
    Read();
  }
  EXPECT_EQ(c.call.end(), End::kOpen) << "slow, but it goes on";
  Advance(milliseconds(10'000));
  ASSERT_EQ(c.call.end(), End::kFailed);
  EXPECT_EQ(c.call.failed_code, base::Code::kTimeout);
  EXPECT_NE(c.call.failure.find("no more of the request came from its client for 10000 ms"),
            std::string::npos)
      << c.call.failure;
  EXPECT_EQ(owner_.lost, 0);
  EXPECT_EQ(owner_.let_go, 1);
  EXPECT_EQ(owner_.dead, 1);
}

TEST_F(BodyTest, ABackendThatTakesNoMoreOfTheRequestIsBlamed) {
  Open(100);
  LargeCall c(10'000, 10);
  c.give_all = true;
  session_->Send(&c.call);
  Settle(&loop_);
  Advance(milliseconds(9999));
  EXPECT_EQ(far_->TakeAll().size(), 100u);
  Answer("");  // wakes the writer
  Advance(milliseconds(1));
  EXPECT_EQ(c.call.end(), End::kOpen);
  Advance(milliseconds(20'000));
  ASSERT_EQ(c.call.end(), End::kFailed);
  EXPECT_NE(c.call.failure.find("10.0.0.1:80 took no more of the request for 10000 ms"),
            std::string::npos)
      << c.call.failure;
  EXPECT_EQ(owner_.lost, 1);
  EXPECT_TRUE(owner_.left);
}

TEST_F(BodyTest, TheAttemptsTimeCountsFromTheLastByte) {
  options_.attempt_timeout = milliseconds(300);
  Open();
  LargeCall c(1000, 10);
  session_->Send(&c.call);
  Read();
  for (int i = 0; i < 5; i++) {
    Advance(milliseconds(299));
    c.Give(100);
    Read();
  }
  EXPECT_EQ(c.call.end(), End::kOpen);
  c.Give(10'000);
  Read();
  Advance(milliseconds(299));
  EXPECT_EQ(c.call.end(), End::kOpen);
  Advance(milliseconds(1));
  ASSERT_EQ(c.call.end(), End::kFailed);
  EXPECT_NE(c.call.failure.find("within 300 ms"), std::string::npos) << c.call.failure;
}

// --- replies ---

TEST_F(BodyTest, ALargeReplyGoesOnBeforeItIsWhole) {
  for (bool upgraded : {false, true}) {
    for (uint32_t places : {1u, 4u}) {
      upgraded_ = upgraded;
      options_.pool.max_in_flight = places;
      Open();
      LargeCall c(1, 1);
      session_->Send(&c.call);
      Read();
      const int32_t seqid = places == 1 ? 1 : 4;
      std::string bytes = Reply(200'000, seqid);
      if (upgraded) bytes = Frame(std::string(1, '\0') + bytes.substr(4));
      for (size_t at = 0; at < bytes.size(); at += 1000) {
        Answer(std::string_view(bytes).substr(at, 1000));
        EXPECT_EQ(c.begun, 1);
        EXPECT_GE(c.reply.size() + 100, std::min(at + 1000, bytes.size()));
        EXPECT_EQ(session_->HasRoom(), c.call.ended()) << "no other call meanwhile";
      }
      ASSERT_EQ(c.call.end(), End::kReplied);
      EXPECT_EQ(c.call.reply_kind, thrift::ReplyKind::kResult);
      EXPECT_TRUE(c.reply == Reply(200'000, 9));
      EXPECT_EQ(owner_.idle, 1);
      EXPECT_EQ(owner_.success, 1);
      EXPECT_EQ(owner_.dead, 0);
    }
  }
}

TEST_F(BodyTest, ByteByByteALargeReplyIsTheSame) {
  options_.stream_threshold = 100;
  Open();
  near_->set_max_read(1);
  LargeCall c(1, 1);
  session_->Send(&c.call);
  Read();
  Answer(Reply(2000, 1));
  ASSERT_EQ(c.call.end(), End::kReplied);
  EXPECT_EQ(c.begun, 1);
  EXPECT_EQ(c.reply, Reply(2000, 9));
}

TEST_F(BodyTest, AReplyUpToTheThresholdIsHeldWhole) {
  const std::string reply = Reply(1000, 1);
  for (uint32_t threshold : {uint32_t(reply.size() - 4), uint32_t(reply.size() - 5)}) {
    options_.stream_threshold = threshold;
    Open();
    LargeCall c(1, 1);
    session_->Send(&c.call);
    Read();
    Answer(reply.substr(0, 500));
    EXPECT_EQ(c.begun, threshold == reply.size() - 5 ? 1 : 0);
    Answer(reply.substr(500));
    EXPECT_EQ(c.reply, Reply(1000, 9));
  }
}

TEST_F(BodyTest, ALargeReplyThatIsNoneLosesTheConnectionAtItsHead) {
  for (const std::string& reply :
       {Reply(200'000, 2), ReplyFrame("other", 1, std::string(200'000, '\0')),
        CallFrame("m", 1, std::string(200'000, '\0')), Frame(std::string(200'000, 'x'))}) {
    Open();
    LargeCall c(1, 1);
    session_->Send(&c.call);
    Read();
    Answer(reply.substr(0, 5000));
    EXPECT_EQ(c.begun, 0);
    ASSERT_EQ(c.call.end(), End::kFailed);
    EXPECT_EQ(c.call.failed_code, base::Code::kMalformed);
    EXPECT_EQ(owner_.dead, 1);
  }
}

TEST_F(BodyTest, AReplyOverTheBoundIsRefusedBeforeItComes) {
  options_.max_frame_bytes = 100'000;
  Open();
  LargeCall c(1, 1);
  session_->Send(&c.call);
  Read();
  Answer(Reply(200'000, 1).substr(0, 4));
  ASSERT_EQ(c.call.end(), End::kFailed);
  EXPECT_NE(c.call.failure.find("over the bound of 100000"), std::string::npos) << c.call.failure;
}

TEST_F(BodyTest, NobodyReadsOnUntilTheClientsTurnHasCome) {
  Open(50'000);
  LargeCall c(1, 1);
  c.take = false;
  session_->Send(&c.call);
  Read();
  const std::string bytes = Reply(4'000'000, 1);
  size_t sent = 0;
  auto send = [&] {  // as much as the connection takes
    for (int i = 0; i < 100; i++) {
      const size_t n = std::min<size_t>(50'000, bytes.size() - sent);
      struct iovec one {
        const_cast<char*>(bytes.data()) + sent, n
      };
      net::IoResult r = far_->Write(&one, 1);
      if (r.kind == net::IoResult::Kind::kBytes) sent += r.bytes;
      Settle(&loop_);
    }
  };
  send();
  EXPECT_EQ(c.begun, 1);
  EXPECT_LT(sent, 300'000u);
  EXPECT_EQ(c.pieces, 0);
  Advance(milliseconds(60'000));
  EXPECT_EQ(c.call.end(), End::kOpen) << "the backend is not silent, it is not read";
  c.room = false;
  c.Take();
  Settle(&loop_);
  EXPECT_EQ(c.pieces, 1) << "no more before it says so";
  c.room = true;
  c.Take();
  send();
  ASSERT_EQ(c.call.end(), End::kReplied);
  EXPECT_TRUE(c.reply == Reply(4'000'000, 9));
  EXPECT_EQ(owner_.idle, 1);
}

TEST_F(BodyTest, AReplyThatBreaksOffFailsTheCall) {
  const std::string bytes = Reply(100'000, 1);
  for (bool reset : {false, true}) {
    for (size_t cut : {size_t{100}, bytes.size() / 2, bytes.size() - 1}) {
      Open();
      LargeCall c(1, 1);
      session_->Send(&c.call);
      Read();
      Answer(bytes.substr(0, cut));
      EXPECT_EQ(c.begun, 1);
      reset ? far_->Close(true) : far_->ShutdownWrite();
      Settle(&loop_);
      ASSERT_EQ(c.call.end(), End::kFailed);
      EXPECT_EQ(c.call.failed_step, Step::kReply);
      EXPECT_EQ(c.call.reply_body.source, nullptr);
      EXPECT_TRUE(owner_.left);
      EXPECT_EQ(owner_.dead, 1);
    }
  }
}

TEST_F(BodyTest, ABackendThatStopsInMidReplyIsLeftAfterItsTime) {
  options_.attempt_timeout = milliseconds(300);
  Open();
  LargeCall c(1, 1);
  session_->Send(&c.call);
  Read();
  const std::string bytes = Reply(100'000, 1);
  size_t at = 0;
  for (; at < 50'000; at += 10'000) {
    Answer(std::string_view(bytes).substr(at, 10'000));
    Advance(milliseconds(9999));
    ASSERT_EQ(c.call.end(), End::kOpen) << "slow, but it goes on: " << c.call.failure;
  }
  Advance(milliseconds(1));
  ASSERT_EQ(c.call.end(), End::kFailed);
  EXPECT_EQ(c.call.failure,
            "trestle: reply: 10.0.0.1:80 stopped in mid-reply for 10000 ms (bodyIdleTimeoutMs)");
  EXPECT_TRUE(owner_.left);
  EXPECT_EQ(owner_.dead, 1);
}

TEST_F(BodyTest, AClientThatGoesAwayInMidReplyClosesTheConnection) {
  Open();
  LargeCall c(1, 1);
  session_->Send(&c.call);
  Read();
  Answer(Reply(100'000, 1).substr(0, 500));
  c.call.Cancel();
  EXPECT_EQ(c.call.reply_body.source, nullptr);
  EXPECT_EQ(owner_.dead, 1);
  EXPECT_EQ(owner_.let_go, 1);
}

TEST_F(BodyTest, MoreBytesThanOneLargeReplyCloseTheConnection) {
  Open();
  LargeCall c(1, 1);
  session_->Send(&c.call);
  Read();
  Answer(Reply(100'000, 1).substr(0, 500));
  Answer(Reply(100'000, 1).substr(500) + "x");
  ASSERT_EQ(c.call.end(), End::kReplied);
  EXPECT_TRUE(c.reply == Reply(100'000, 9));
  EXPECT_EQ(owner_.idle, 0);
  EXPECT_EQ(owner_.dead, 1);
}

TEST_F(BodyTest, ALargeReplyMayBeginBeforeTheRequestIsWhole) {
  Open();
  LargeCall c(1000, 10);
  session_->Send(&c.call);
  Read();
  const std::string bytes = Reply(100'000, 1);
  Answer(bytes.substr(0, 500));
  EXPECT_EQ(c.begun, 1);
  c.Give(10'000);
  EXPECT_EQ(Read().size(), 990u);
  Answer(bytes.substr(500));
  ASSERT_EQ(c.call.end(), End::kReplied);
  EXPECT_TRUE(c.reply == Reply(100'000, 9));
}

TEST_F(BodyTest, AmongOthersALargeReplyIsHeldWhole) {
  options_.pool.max_in_flight = 4;
  Open();
  LargeCall c(1, 1);
  TestCall other("m", 77);
  session_->Send(&c.call);
  session_->Send(&other.call);
  Read();
  const std::string bytes = Reply(100'000, 4);
  Answer(bytes.substr(0, 50'000));
  EXPECT_EQ(c.begun, 0);
  EXPECT_TRUE(session_->HasRoom());
  Answer(bytes.substr(50'000) + ReplyFrame("m", 9));
  EXPECT_TRUE(c.reply == Reply(100'000, 9));
  EXPECT_EQ(other.end(), End::kReplied);
}

TEST_F(BodyTest, OverTheBoundOnMemoryALargeReplyThatIsHeldGivesWay) {
  options_.pool.max_in_flight = 4;
  options_.max_buffered_bytes = base::Block::BytesOnThread() + 300'000;
  Open();
  LargeCall c(1, 1);
  TestCall other("m", 77);
  session_->Send(&c.call);
  session_->Send(&other.call);
  Read();
  const std::string bytes = Reply(1'000'000, 4);
  for (size_t at = 0; at < bytes.size() && owner_.dead == 0; at += 50'000) {
    Answer(std::string_view(bytes).substr(at, 50'000));
  }
  ASSERT_EQ(c.call.end(), End::kFailed);
  EXPECT_EQ(c.call.failed_code, base::Code::kRefused);
  EXPECT_NE(c.call.failure.find("over maxBufferedBytes"), std::string::npos) << c.call.failure;
  EXPECT_EQ(owner_.lost, 0) << "no fault of the backend";
  EXPECT_EQ(owner_.let_go, 2);
}

}  // namespace
}  // namespace trestle::backend
