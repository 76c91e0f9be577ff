// One backend connection that speaks THeader, with messages that are not held whole, and with zlib
// that is.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tests/backend/body_fixture.h"
#include "tests/support/theader_wire.h"

namespace trestle::backend {
namespace {

using call::HeaderForm;
using tests::HeaderBytes;
using tests::HeaderFrame;
using tests::ReadHeaderFrame;

class THeaderBodyTest : public BodyTest {
 protected:
  THeaderBodyTest() { options_.wire = Wire::kTHeader; }
  static std::string Headed(size_t size, int32_t seqid, base::Contexts keys = {},
                            uint32_t zlib = 0) {
    return HeaderFrame(seqid, Reply(size, seqid).substr(4), std::move(keys), Protocol::kBinary,
                       zlib);
  }
};

TEST_F(THeaderBodyTest, ALargeReplyGoesOnBeforeItIsWhole) {
  for (const base::Contexts& keys : {base::Contexts(), base::Contexts{{"seen", "yes"}}}) {
    for (uint32_t places : {1u, 4u}) {
      options_.pool.max_in_flight = places;
      Open();
      LargeCall c(1, 1);
      std::string at_begin;
      session_->Send(&c.call);
      Read();
      const int32_t seqid = places == 1 ? 1 : 4;
      const std::string bytes = Headed(200'000, seqid, keys);
      for (size_t at = 0; at < bytes.size(); at += 1000) {
        Answer(std::string_view(bytes).substr(at, 1000));
        EXPECT_EQ(c.begun, 1);
        EXPECT_EQ(session_->HasRoom(), c.call.ended());
        EXPECT_EQ(c.call.reply_header_bytes.ToString(),
                  keys.empty() ? "" : HeaderBytes({0, seqid, Protocol::kBinary, 0, keys}))
            << "known as soon as the reply begins";
      }
      ASSERT_EQ(c.call.end(), End::kReplied);
      EXPECT_TRUE(c.reply == Reply(200'000, 9));
      EXPECT_EQ(owner_.idle, 1);
      EXPECT_EQ(owner_.dead, 0);
    }
  }
}

TEST_F(THeaderBodyTest, AtEveryCutALargeReplyIsTheSame) {
  options_.stream_threshold = 100;
  const std::string bytes = Headed(300, 1, {{"seen", "yes"}});
  for (size_t cut = 1; cut < bytes.size(); cut++) {
    Open();
    LargeCall c(1, 1);
    session_->Send(&c.call);
    Read();
    Answer(bytes.substr(0, cut));
    Answer(bytes.substr(cut));
    ASSERT_EQ(c.call.end(), End::kReplied) << cut;
    EXPECT_EQ(c.reply, Reply(300, 9));
    EXPECT_FALSE(c.call.reply_header_bytes.empty());
    EXPECT_EQ(c.begun, cut >= bytes.size() - 280 ? 1 : c.begun);
  }
}

TEST_F(THeaderBodyTest, ByteByByteALargeReplyIsTheSame) {
  options_.stream_threshold = 100;
  for (bool plain : {false, true}) {
    Open();
    near_->set_max_read(1);
    LargeCall c(1, 1);
    session_->Send(&c.call);
    Read();
    Answer(plain ? Reply(2000, 1) : Headed(2000, 1, {{"seen", "yes"}}));
    ASSERT_EQ(c.call.end(), End::kReplied);
    EXPECT_EQ(c.begun, 1);
    EXPECT_EQ(c.reply, Reply(2000, 9));
    EXPECT_EQ(c.call.reply_header_bytes.empty(), plain);
  }
}

TEST_F(THeaderBodyTest, ALargeTTwitterReplyHasItsHeaderFromTheBeginning) {
  options_.wire = Wire::kThrift;
  upgraded_ = true;
  std::string header;
  thrift::EncodeResponseHeader(Protocol::kBinary, {{"k", "v"}}, &header);
  Open();
  LargeCall c(1, 1);
  session_->Send(&c.call);
  Read();
  const std::string bytes = Frame(header + Reply(200'000, 1).substr(4));
  Answer(bytes.substr(0, 1000));
  EXPECT_EQ(c.begun, 1);
  EXPECT_EQ(c.call.reply_header_bytes.ToString(), header);
  EXPECT_EQ(c.call.reply_form, HeaderForm::kTTwitter);
  Answer(bytes.substr(1000));
  ASSERT_EQ(c.call.end(), End::kReplied);
  EXPECT_TRUE(c.reply == Reply(200'000, 9));
}

TEST_F(THeaderBodyTest, ALargeReplyThatIsNoneLosesTheConnectionAtItsHead) {
  for (const std::string& reply :
       {Headed(200'000, 2, {{"k", "v"}}),
        HeaderFrame(1, CallFrame("m", 1, std::string(200'000, 0))),
        HeaderFrame(1, Reply(200'000, 1).substr(4), {}, Protocol::kCompact)}) {
    Open();
    LargeCall c(1, 1);
    session_->Send(&c.call);
    Read();
    Answer(reply.substr(0, 5000));
    EXPECT_EQ(c.begun, 0);
    ASSERT_EQ(c.call.end(), End::kFailed);
    EXPECT_EQ(c.call.failed_code, base::Code::kMalformed);
  }
}

TEST_F(THeaderBodyTest, AReplyThatBreaksOffLeavesNothingBeside) {
  Open();
  LargeCall c(1, 1);
  session_->Send(&c.call);
  Read();
  Answer(Headed(100'000, 1, {{"k", "v"}}).substr(0, 5000));
  EXPECT_FALSE(c.call.reply_header_bytes.empty());
  far_->ShutdownWrite();
  Settle(&loop_);
  ASSERT_EQ(c.call.end(), End::kFailed);
  EXPECT_TRUE(c.call.reply_header_bytes.empty());
}

TEST_F(THeaderBodyTest, ZlibIsHeldUntilItIsWhole) {
  for (uint32_t times : {1u, 2u, 4u}) {
    for (size_t at_a_time : {size_t{1}, size_t{1000}, size_t{100'000}}) {
      Open();
      near_->set_max_read(at_a_time);
      LargeCall c(1, 1);
      session_->Send(&c.call);
      Read();
      std::string text;  // not too well to be deflated
      for (uint32_t x = 1; text.size() < 150'000; x = x * 1664525 + 1013904223) {
        text += static_cast<char>('a' + (x >> 28));
      }
      std::string reply = Reply(text.size(), 1);
      reply.replace(reply.size() - text.size() - 1, text.size(), text);
      const std::string bytes =
          HeaderFrame(1, reply.substr(4), {{"k", "v"}}, Protocol::kBinary, times);
      EXPECT_GT(bytes.size(), 70'000u);
      Answer(bytes.substr(0, bytes.size() - 1));
      EXPECT_EQ(c.begun, 0);
      EXPECT_EQ(c.call.end(), End::kOpen);
      Answer(bytes.substr(bytes.size() - 1));
      ASSERT_EQ(c.call.end(), End::kReplied) << c.call.failure;
      EXPECT_EQ(c.begun, 0);
      EXPECT_TRUE(c.reply.substr(23) == reply.substr(23));
      EXPECT_EQ(owner_.idle, 1);
    }
  }
}

TEST_F(THeaderBodyTest, ZlibInflatesUpToTheBoundOnFrames) {
  options_.max_frame_bytes = 100'000;
  const size_t most = 100'000 - (Reply(0, 1).size() - 4);
  for (uint32_t times : {1u, 2u}) {
    for (size_t over : {size_t{0}, size_t{1}, size_t{900'000}, size_t{50'000'000}}) {
      const std::string bytes = Headed(most + over, 1, {}, times);
      Open();
      LargeCall c(1, 1);
      session_->Send(&c.call);
      Read();
      const size_t before = base::Block::BytesOnThread();
      Answer(bytes);
      EXPECT_LT(base::Block::BytesOnThread(), before + 600'000);
      ASSERT_EQ(c.call.end(), over == 0 ? End::kReplied : End::kFailed) << c.call.failure;
      if (over == 0) continue;
      EXPECT_EQ(c.call.failed_code, base::Code::kMalformed);
      EXPECT_NE(c.call.failure.find("zlib"), std::string::npos) << c.call.failure;
      EXPECT_EQ(owner_.dead, 1);
    }
  }
}

TEST_F(THeaderBodyTest, WhereMemoryIsShortNothingIsInflatedAndNobodyIsBlamed) {
  options_.max_buffered_bytes = base::Block::BytesOnThread() + 100'000;
  Open();
  const std::string held(200'000, 'x');
  base::Buffer hold = base::Buffer::Copy(held);
  LargeCall c(1, 1);
  session_->Send(&c.call);
  Read();
  Answer(Headed(1'000'000, 1, {}, 1));
  ASSERT_EQ(c.call.end(), End::kFailed);
  EXPECT_EQ(c.call.failed_code, base::Code::kRefused);
  EXPECT_NE(c.call.failure.find("over maxBufferedBytes"), std::string::npos) << c.call.failure;
  EXPECT_EQ(owner_.lost, 0);
  EXPECT_EQ(owner_.let_go, 1);
  EXPECT_EQ(owner_.dead, 1);
}

TEST_F(THeaderBodyTest, ALargeRequestGoesUndeflated) {
  for (bool zlib : {false, true}) {
    options_.theader_zlib = zlib;
    Open();
    LargeCall c(5000, 1000);
    c.give_all = true;
    session_->Send(&c.call);
    const tests::Headed sent = ReadHeaderFrame(Read());
    EXPECT_EQ(sent.zlib, 0u);
    EXPECT_EQ(sent.seqid, 1);
    EXPECT_TRUE(sent.message == Message(MessageType::kCall, "m", 1, c.body));
    Answer(Headed(1, 1));
    EXPECT_EQ(c.call.end(), End::kReplied) << c.call.failure;
    // The next one is held whole.
    TestCall next("m", 8);
    EXPECT_EQ(ReadHeaderFrame(Send(next)).zlib, zlib ? 1u : 0u);
  }
}

}  // namespace
}  // namespace trestle::backend
