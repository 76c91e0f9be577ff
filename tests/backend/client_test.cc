// A whole client: its set of endpoints, and where a call goes when its endpoint fails it.
#include "backend/client.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/backend/client_fixture.h"

namespace trestle::backend {
namespace {

using call::End;
using call::Step;
using naming::Addr;
using std::chrono::milliseconds;
using std::chrono::seconds;
using tests::Settle;

std::shared_ptr<const Addr> Shared(Addr addr) { return std::make_shared<Addr>(std::move(addr)); }

// --- the set ---

TEST_F(ClientTest, CallsAreSharedAmongTheEndpoints) {
  Use({At("10.0.0.1"), At("10.0.0.2", 3)});
  std::map<std::string, int> got;
  for (int i = 0; i < 40; i++) got[Ask()]++;
  EXPECT_EQ(got["10.0.0.1"], 10);
  EXPECT_EQ(got["10.0.0.2"], 30);
}

TEST_F(ClientTest, EndpointsThatStayKeepTheirConnections) {
  Use({At("10.0.0.1"), At("10.0.0.2")});
  for (int i = 0; i < 4; i++) Ask();
  EXPECT_EQ(Tries(), 2u);
  Use({At("10.0.0.2"), At("10.0.0.3")});
  EXPECT_EQ(Gauge("connections"), 1) << "of the one that stays";
  std::map<std::string, int> got;
  for (int i = 0; i < 4; i++) got[Ask()]++;
  EXPECT_EQ(got["10.0.0.2"], 2);
  EXPECT_EQ(got["10.0.0.3"], 2);
  EXPECT_EQ(Tries(), 3u);
  EXPECT_EQ(CountOf("loadbalancer", "adds"), 3u);
  EXPECT_EQ(CountOf("loadbalancer", "removes"), 1u);
  EXPECT_EQ(client().endpoints(), 2u);
  EXPECT_EQ(Count("failed_connects"), 0u);
  EXPECT_EQ(CountOf("failure_accrual", "removals"), 0u);
}

TEST_F(ClientTest, AnotherWeightKeepsTheConnections) {
  Use({At("10.0.0.1"), At("10.0.0.2")});
  Ask();
  Ask();
  Use({At("10.0.0.1"), At("10.0.0.2", 3)});
  EXPECT_EQ(Gauge("connections"), 2);
  std::map<std::string, int> got;
  for (int i = 0; i < 40; i++) got[Ask()]++;
  EXPECT_EQ(got["10.0.0.1"], 10);
  EXPECT_EQ(got["10.0.0.2"], 30);
  EXPECT_EQ(Tries(), 2u);
}

TEST_F(ClientTest, ACallInFlightOnAnEndpointThatLeftIsFinished) {
  Use({At("10.0.0.1")});
  TestCall call;
  Dispatch(call);
  Use({At("10.0.0.2")});
  EXPECT_EQ(call.end(), End::kOpen);
  Answer("10.0.0.1");
  EXPECT_EQ(call.end(), End::kReplied);
  EXPECT_EQ(Gauge("connections"), 0) << "its connection is of no use any more";
  EXPECT_EQ(Ask(), "10.0.0.2");
}

TEST_F(ClientTest, ACallThatWaitsForAnEndpointThatLeftGoesToAnother) {
  client();
  net_->hold = true;
  Use({At("10.0.0.1")});
  TestCall call;
  Dispatch(call);
  net_->hold = false;
  Use({At("10.0.0.2")});
  EXPECT_EQ(call.end(), End::kOpen) << call.failure();
  Answer("10.0.0.2");
  EXPECT_EQ(call.end(), End::kReplied);
  EXPECT_EQ(Count("failed_connects"), 0u);
  EXPECT_EQ(CountOf("failure_accrual", "removals"), 0u);
}

TEST_F(ClientTest, ACallThatWaitsBehindAnotherOfAnEndpointThatLeftGoesOn) {
  options_.pool.max_size = 1;
  for (bool lost : {false, true}) {
    client_.reset();
    Use({At("10.0.0.1")});
    TestCall first, second;
    Dispatch(first);
    Dispatch(second);
    Use({At("10.0.0.2")});
    if (lost) {
      net_->to("10.0.0.1:80")->end->Close(true);
      Settle(&loop_);
      EXPECT_EQ(first.end(), End::kFailed);
      Answer("10.0.0.2");
      EXPECT_EQ(net_->tries, (std::vector<std::string>{"10.0.0.1:80", "10.0.0.2:80"}));
    } else {
      Answer("10.0.0.1");
      Answer("10.0.0.1");
    }
    EXPECT_EQ(second.end(), End::kReplied);
  }
}

TEST_F(ClientTest, AFailedOrPendingValueDoesNotReplaceAGoodOne) {
  Use({At("10.0.0.1")});
  for (const Addr& addr : {Addr::Failed("the registry is down"), Addr::Pending()}) {
    client().Update(Shared(addr));
    EXPECT_EQ(client().addr().kind, Addr::Kind::kBound);
    EXPECT_EQ(Ask(), "10.0.0.1");
  }
  EXPECT_EQ(Tries(), 1u);
}

TEST_F(ClientTest, WithoutAnEndpointTheErrorSaysWhy) {
  const struct {
    Addr addr;
    const char* why;
  } kCases[] = {
      {Addr::Neg(), "trestle: balance: /#/fs/users: no endpoint: the name is gone"},
      {Addr::Bound({}), "trestle: balance: /#/fs/users: no endpoint: the set is empty"},
      {Addr::Failed("no such host"), "trestle: balance: /#/fs/users: no endpoint: no such host"},
  };
  for (const auto& c : kCases) {
    client_.reset();
    client().Update(Shared(c.addr));
    TestCall call;
    call.call.concrete = &client().id();
    Dispatch(call);
    ASSERT_EQ(call.end(), End::kFailed);
    EXPECT_EQ(call.failure(), c.why);
    EXPECT_EQ(call.call.failed_step, Step::kBalance);
  }
}

TEST_F(ClientTest, ANameThatIsGoneAndBackServesAgain) {
  Use({At("10.0.0.1")});
  Ask();
  client().Update(Shared(Addr::Neg()));
  Settle(&loop_);
  EXPECT_EQ(client().endpoints(), 0u);
  EXPECT_EQ(Gauge("connections"), 0);
  TestCall lost;
  Dispatch(lost);
  EXPECT_EQ(lost.end(), End::kFailed);
  Use({At("10.0.0.1")});
  EXPECT_EQ(Ask(), "10.0.0.1");
}

TEST_F(ClientTest, HostsThatWereNotResolvedAreLeftOut) {
  Use({naming::Endpoint{"users.example", 80, 1, false}, At("10.0.0.1")});
  EXPECT_EQ(client().endpoints(), 1u);
  EXPECT_EQ(Ask(), "10.0.0.1");
}

// --- waiting for the first address ---

TEST_F(ClientTest, CallsWaitForTheAddressAndGoOutInOrder) {
  options_.pool.max_size = 1;
  TestCall a("a"), b("b");
  client();
  Dispatch(a);
  Dispatch(b);
  EXPECT_EQ(a.end(), End::kOpen);
  Use({At("10.0.0.1")});
  Answer("10.0.0.1");
  EXPECT_EQ(a.end(), End::kReplied);
  Answer("10.0.0.1");
  EXPECT_EQ(b.end(), End::kReplied);
}

TEST_F(ClientTest, TheyWaitNoLongerThanTheBindingTimeout) {
  client();
  TestCall early, late, cancelled;
  Dispatch(early);
  Dispatch(cancelled);
  Advance(seconds(5));
  Dispatch(late);
  cancelled.call.Cancel();
  Advance(seconds(5) - milliseconds(1));
  EXPECT_EQ(early.end(), End::kOpen);
  Advance(milliseconds(1));
  ASSERT_EQ(early.end(), End::kFailed);
  EXPECT_EQ(early.call.failed_code, base::Code::kTimeout);
  EXPECT_EQ(early.failure(), "trestle: balance: no address within bindingTimeoutMs");
  EXPECT_EQ(late.end(), End::kOpen);
  Advance(seconds(5));
  EXPECT_EQ(late.end(), End::kFailed);
}

TEST_F(ClientTest, AFirstValueThatFailedIsToldToThoseWhoWait) {
  TestCall call;
  Dispatch(call);
  client().Update(Shared(Addr::Failed("no such host")));
  EXPECT_EQ(call.failure(), "trestle: balance: no endpoint: no such host");
}

TEST_F(ClientTest, AClientThatEndsEndsItsCalls) {
  options_.pool.max_size = 1;
  TestCall waiting_for_address;
  Dispatch(waiting_for_address);
  client_.reset();
  EXPECT_EQ(waiting_for_address.end(), End::kFailed);
  Use({At("10.0.0.1")});
  TestCall in_flight, waiting;
  Dispatch(in_flight);
  Dispatch(waiting);
  client_.reset();
  EXPECT_EQ(in_flight.end(), End::kFailed);
  EXPECT_EQ(waiting.end(), End::kFailed);
}

// --- elsewhere ---

TEST_F(ClientTest, AConnectFailureSendsTheCallElsewhereAtOnceAndTakesTheEndpointOut) {
  options_.budget = {0, 0, seconds(10)};  // it costs no retry
  client();
  net_->refusing = {"10.0.0.1:80"};
  Use({At("10.0.0.1"), At("10.0.0.2")});
  for (int i = 0; i < 10; i++) EXPECT_EQ(Ask(), "10.0.0.2");
  EXPECT_EQ(net_->tries.size(), 2u) << "asked again while it is out";
  EXPECT_EQ(Out(), 1u);
  EXPECT_EQ(Count("failed_connects"), 1u);
  EXPECT_EQ(CountOf("retries", "requeues"), 1u);
  net_->refusing.clear();
  Advance(seconds(1));
  std::map<std::string, int> got;
  for (int i = 0; i < 10; i++) got[Ask()]++;
  EXPECT_EQ(got["10.0.0.1"], 5);
  EXPECT_EQ(Out(), 0u);
}

TEST_F(ClientTest, WhatThisMachineLacksTakesNoEndpointOut) {
  client();
  net_->refuse_all = true;
  net_->refused_as = base::Code::kInternal;  // out of descriptors
  Use({At("10.0.0.1"), At("10.0.0.2")});
  for (int i = 1; i <= 10; i++) {
    TestCall call;
    Dispatch(call);
    ASSERT_EQ(call.end(), End::kFailed);
    EXPECT_EQ(call.call.failed_step, Step::kConnect);
    EXPECT_EQ(Tries(), 2u * static_cast<unsigned>(i)) << "each once";
  }
  EXPECT_EQ(Out(), 0u);
  EXPECT_EQ(Count("failed_connects"), 20u);
}

TEST_F(ClientTest, AProbeThatThisMachineCouldNotMakeIsMadeAgain) {
  client();
  net_->refuse_all = true;
  Use({At("10.0.0.1"), At("10.0.0.2")});
  TestCall first;
  Dispatch(first);
  EXPECT_EQ(Out(), 2u);
  Advance(seconds(10));
  net_->refused_as = base::Code::kInternal;
  TestCall second;
  Dispatch(second);
  EXPECT_EQ(Out(), 2u);
  net_->refuse_all = false;
  for (int i = 0; i < 4; i++) Ask();
  EXPECT_EQ(Out(), 0u) << "both are probed at once";
}

TEST_F(ClientTest, WhenNobodyCanBeReachedEachIsTriedOnce) {
  client();
  net_->refuse_all = true;
  Use({At("10.0.0.1"), At("10.0.0.2"), At("10.0.0.3")});
  TestCall call;
  Dispatch(call);
  ASSERT_EQ(call.end(), End::kFailed);
  EXPECT_EQ(call.call.failed_step, Step::kConnect);
  EXPECT_EQ(call.call.failed_code, base::Code::kUnavailable);
  EXPECT_NE(call.failure().find("trestle: connect: cannot connect to 10.0.0."), std::string::npos)
      << call.failure();
  EXPECT_EQ(Tries(), 3u);
  TestCall next;  // all are out: still nobody fails unattempted
  Dispatch(next);
  EXPECT_EQ(next.end(), End::kFailed);
  EXPECT_EQ(Tries(), 6u);
}

TEST_F(ClientTest, OfManyThatCannotBeReachedOnlySomeAreTried) {
  client();
  net_->refuse_all = true;
  std::vector<naming::Endpoint> many;
  for (int i = 1; i <= 30; i++) many.push_back(At("10.0.0." + std::to_string(i)));
  Use(many);
  TestCall call;
  Dispatch(call);
  ASSERT_EQ(call.end(), End::kFailed);
  EXPECT_EQ(Tries(), size_t{call::Call::kMaxAttempts});
}

TEST_F(ClientTest, AllWhoWaitedForAConnectionThatFailedGoElsewhere) {
  options_.pool.max_size = 1;
  client();
  net_->hold = true;
  net_->refusing = {"10.0.0.1:80"};
  Use({At("10.0.0.1"), At("10.0.0.2")});
  std::vector<std::unique_ptr<TestCall>> calls;
  for (int i = 0; i < 6; i++) {
    calls.push_back(std::make_unique<TestCall>());
    Dispatch(*calls.back());
  }
  net_->hold = false;
  while (net_->Go()) Settle(&loop_);
  for (int i = 0; i < 6; i++) Answer("10.0.0.2");
  for (const auto& call : calls) EXPECT_EQ(call->end(), End::kReplied);
}

TEST_F(ClientTest, ACallThatWasWrittenIsNotSentAgain) {
  Use({At("10.0.0.1"), At("10.0.0.2")});
  TestCall call;
  Dispatch(call);
  const std::string at = net_->tries[0];
  net_->to(at)->end->Close(true);
  Settle(&loop_);
  ASSERT_EQ(call.end(), End::kFailed);
  EXPECT_EQ(call.call.failed_step, Step::kReply);
  EXPECT_EQ(Tries(), 1u);
}

TEST_F(ClientTest, AnIdempotentCallIsSentAgainElsewhere) {
  Use({At("10.0.0.1"), At("10.0.0.2")});
  TestCall call;
  call.call.idempotent = true;
  Dispatch(call);
  const std::string at = net_->tries[0];
  net_->to(at)->end->Close(true);
  Settle(&loop_);
  EXPECT_EQ(call.end(), End::kOpen);
  ASSERT_EQ(Tries(), 2u);
  EXPECT_NE(net_->tries[1], at);
  Answer(net_->tries[1].substr(0, 8));
  ASSERT_EQ(call.end(), End::kReplied);
  EXPECT_EQ(call.reply(), tests::ReplyFrame("userService:addUser", 1000));
  EXPECT_EQ(CountOf("retries", "requeues"), 1u);
}

TEST_F(ClientTest, AnIdempotentCallWhoseAttemptTookTooLongIsSentAgain) {
  options_.attempt_timeout = milliseconds(100);
  Use({At("10.0.0.1"), At("10.0.0.2")});
  TestCall call;
  call.call.idempotent = true;
  Dispatch(call);
  Advance(milliseconds(100));
  ASSERT_EQ(Tries(), 2u);
  Answer(net_->tries[1].substr(0, 8));
  EXPECT_EQ(call.end(), End::kReplied);
}

TEST_F(ClientTest, ASpentBudgetIsSaid) {
  options_.budget = {0, 0, seconds(10)};
  Use({At("10.0.0.1"), At("10.0.0.2")});
  TestCall call;
  call.call.idempotent = true;
  Dispatch(call);
  net_->to(net_->tries[0])->end->ShutdownWrite();
  Settle(&loop_);
  ASSERT_EQ(call.end(), End::kFailed);
  EXPECT_EQ(call.failure(), "trestle: reply: " + net_->tries[0] +
                                " closed the connection before a reply; not sent again: "
                                "requeueBudget is spent");
  EXPECT_EQ(CountOf("retries", "budget_exhausted"), 1u);
  EXPECT_EQ(Tries(), 1u);
}

TEST_F(ClientTest, FiveLostCallsTakeAnEndpointOut) {
  Use({At("10.0.0.1"), At("10.0.0.2")});
  int lost = 0;
  for (int i = 0; i < 40; i++) {
    TestCall call;
    Dispatch(call);
    auto* bad = net_->to("10.0.0.1:80");
    if (bad && bad->end->TakeAll().size() > 0) {
      bad->end->Close(true);
      Settle(&loop_);
      EXPECT_EQ(call.end(), End::kFailed);
      lost++;
    } else {
      Answer("10.0.0.2");
    }
  }
  EXPECT_EQ(lost, 5);
  EXPECT_EQ(Out(), 1u);
  EXPECT_EQ(CountOf("failure_accrual", "removals"), 1u);
}

TEST_F(ClientTest, CallsThatTheirClientsGaveUpAreNoFailures) {
  Use({At("10.0.0.1")});
  for (int i = 0; i < 20; i++) {
    TestCall call;
    Dispatch(call);
    call.call.Cancel();
  }
  EXPECT_EQ(Out(), 0u);
}

TEST_F(ClientTest, CallsOutOfTimeAreFailures) {
  Use({At("10.0.0.1")});
  for (int i = 0; i < 5; i++) {
    TestCall call;
    Dispatch(call);
    call.call.TimeOut(base::Status(base::Code::kTimeout, "late"));
  }
  EXPECT_EQ(Out(), 1u);
}

// How long a caller waits is its own choice.
TEST_F(ClientTest, CallsOutOfTheirCallersTimeAreNone) {
  Use({At("10.0.0.1")});
  for (int i = 0; i < 20; i++) {
    TestCall call;
    Dispatch(call);
    call.call.timed_by_caller = true;
    call.call.TimeOut(base::Status(base::Code::kTimeout, "late"));
  }
  EXPECT_EQ(Out(), 0u);
}

}  // namespace
}  // namespace trestle::backend
