// Requests that are not held whole, on a mux session: they are collected first.
#include "tests/backend/body_fixture.h"
#include "tests/backend/mux_fixture.h"

namespace trestle::backend {
namespace {

class MuxBodyTest : public MuxSessionTest {
 protected:
  void Send(LargeCall& call) {
    session_->Send(&call.call);
    Settle(&loop_);
  }
};

TEST_F(MuxBodyTest, ItIsSentWhenItIsWholeAndIsLikeOthersThen) {
  Open();
  LargeCall call(100'000, 20'000);
  Send(call);
  EXPECT_EQ(call.asked, 1);
  EXPECT_TRUE(Read().empty());
  EXPECT_TRUE(session_->busy());
  EXPECT_EQ(session_->load(), 1u);
  while (call.call.request_body.rest > 50'000) EXPECT_TRUE(call.Give(10'000));
  EXPECT_TRUE(Read().empty());
  EXPECT_TRUE(call.call.streamed);
  while (call.call.request_body.rest > 0) call.Give(10'000);
  auto sent = Read();
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(Frame(ReadDispatch(sent[0].body).payload), call.all);
  EXPECT_FALSE(call.call.streamed) << "it may be sent again";
  EXPECT_EQ(call.call.request_body.sink, nullptr);
  Say(Ok(2, Good("m", 9)));
  EXPECT_EQ(call.call.end(), End::kReplied);
  EXPECT_FALSE(session_->busy());
}

TEST_F(MuxBodyTest, ASourceMayGiveAllAtOnce) {
  Open();
  LargeCall a(100'000, 20'000), b(50'000, 10);
  a.give_all = b.give_all = true;
  session_->Send(&a.call);
  session_->Send(&b.call);
  auto sent = Read();
  ASSERT_EQ(sent.size(), 2u);
  EXPECT_EQ(sent[0].tag, 2u);
  EXPECT_EQ(sent[1].tag, 3u);
}

TEST_F(MuxBodyTest, NothingIsAskedForWithinTheHandOver) {
  Open();
  LargeCall call(1000, 10);
  session_->Send(&call.call);
  EXPECT_EQ(call.asked, 0);
  Settle(&loop_);
  EXPECT_EQ(call.asked, 1);
}

TEST_F(MuxBodyTest, OthersGoMeanwhile) {
  Open();
  LargeCall large(100'000, 20'000);
  Send(large);
  TestCall small;
  EXPECT_TRUE(session_->Speaks(small.call));
  EXPECT_EQ(SendOne(small).tag, 2u);
  Say(Ok(2, Good()));
  EXPECT_EQ(small.end(), End::kReplied);
}

TEST_F(MuxBodyTest, ItHasAPlaceFromTheStart) {
  options_.pool.mux_in_flight = 1;
  Open();
  LargeCall call(1000, 10);
  Send(call);
  EXPECT_FALSE(session_->HasRoom());
  call.call.Cancel();
  Settle(&loop_);
  EXPECT_TRUE(session_->HasRoom());
}

TEST_F(MuxBodyTest, LetGoOfItLeavesNothingBehind) {
  Open();
  LargeCall call(100'000, 20'000);
  Send(call);
  call.call.Cancel();
  EXPECT_EQ(call.call.request_body.sink, nullptr);
  EXPECT_EQ(owner_.let_go, 1);
  Settle(&loop_);
  EXPECT_FALSE(session_->busy());
  EXPECT_TRUE(Read().empty()) << "nothing of it was sent";
}

TEST_F(MuxBodyTest, PastTheBoundOfMemoryItFails) {
  options_.max_buffered_bytes = base::Block::BytesOnThread() + 1'000'000;
  Open();
  LargeCall call(5'000'000, 20'000);
  Send(call);
  for (int i = 0; i < 30 && !call.call.ended(); i++) call.Give(100'000);
  ASSERT_EQ(call.call.end(), End::kFailed);
  EXPECT_EQ(call.call.failed_code, base::Code::kRefused);
  EXPECT_EQ(call.call.failed_step, Step::kDispatch);
  EXPECT_EQ(owner_.let_go, 1);
  Settle(&loop_);
  EXPECT_FALSE(session_->busy());
  EXPECT_FALSE(Dead());
}

TEST_F(MuxBodyTest, WhenNoMoreComesItFails) {
  Open();
  LargeCall call(100'000, 20'000);
  Send(call);
  Advance(seconds(6));
  call.Give(100);
  Advance(seconds(6));
  EXPECT_FALSE(call.call.ended());
  Advance(seconds(4));
  ASSERT_EQ(call.call.end(), End::kFailed);
  EXPECT_NE(call.call.failure.find("no more of the request came from its client for 10000 ms"),
            std::string::npos)
      << call.call.failure;
  EXPECT_EQ(owner_.failures, 0);
  EXPECT_FALSE(Dead());
}

TEST_F(MuxBodyTest, WithTheConnectionItIsLostAsOneThatNeverLeft) {
  Open();
  LargeCall call(100'000, 20'000);
  Send(call);
  call.Give(1000);
  far_->Close(true);
  Settle(&loop_);
  EXPECT_EQ(owner_.lost, 1);
  EXPECT_FALSE(owner_.left);
  EXPECT_EQ(owner_.failures, 0);
  EXPECT_EQ(call.call.request.size(), 21'000u + (call.all.size() - call.body.size()))
      << "another session has what came";
}

TEST_F(MuxBodyTest, AtTdrainItGoesElsewhereWithWhatCame) {
  Open();
  LargeCall call(100'000, 20'000);
  Send(call);
  call.Give(30'000);
  Say(mux::ShowMessage(Type::kTdrain, 1));
  ASSERT_EQ(owner_.returned.size(), 1u);
  EXPECT_EQ(call.call.request_body.sink, nullptr);
  EXPECT_EQ(call.call.holder, nullptr);
  EXPECT_TRUE(Dead());
  Open();
  Send(call);
  while (call.call.request_body.rest > 0) call.Give(10'000);
  auto sent = Read();
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(Frame(ReadDispatch(sent[0].body).payload), call.all);
}

TEST_F(MuxBodyTest, DestroyedWithTheSessionItFails) {
  Open();
  LargeCall call(100'000, 20'000);
  Send(call);
  session_.reset();
  EXPECT_EQ(call.call.end(), End::kFailed);
  EXPECT_EQ(call.call.request_body.sink, nullptr);
}

}  // namespace
}  // namespace trestle::backend
