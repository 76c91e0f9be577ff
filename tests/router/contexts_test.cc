// What a router reads of what came beside a call: deadlines, hops, and names of mux calls.
#include "base/contexts.h"

#include <gtest/gtest.h>

#include "tests/router/fixture.h"
#include "tests/support/mux_wire.h"

namespace trestle::router::testing {
namespace {

using base::WallTime;

class ContextsTest : public RouterTest {
 protected:
  ContextsTest() { namer_.Bind("users", {1}); }

  // One call with these contexts, on an upgraded connection: its answer's text, or "waits".
  std::string AskWithContexts(const base::Contexts& contexts, bool serve = true) {
    client_ = &NewUpgradedClient();
    thrift::RequestHeader header;
    header.contexts = contexts;
    client_->CallWith(header, "users:a");
    if (serve) Serve();
    Settle();
    auto replies = client_->Replies();
    return replies.empty() ? "waits" : replies[0].Text();
  }
  std::string AskWithDeadline(milliseconds from_now, milliseconds set_before = milliseconds(0)) {
    const WallTime now = clock_.Wall();
    const std::string value = base::ShowDeadline({now - set_before, now + from_now});
    return AskWithContexts({{base::kDeadlineKey, value}}, false);
  }
  std::string Late(Client& client) {
    auto replies = client.Replies();
    return replies.empty() ? "waits" : replies[0].Text();
  }
  Client* client_ = nullptr;
};

TEST_F(ContextsTest, ACallPastItsDeadlineIsRefusedBeforeABackendSeesIt) {
  Start();
  EXPECT_EQ(
      AskWithDeadline(milliseconds(-201)),
      "trestle: identify: /svc/users/a: its deadline passed 201 ms ago (deadlineToleranceMs)");
  EXPECT_TRUE(backends_.connects.empty());
  EXPECT_EQ(Count("rt/thr/service/other/failures/identify/timeout"), 1u);
  EXPECT_EQ(Pending(), 0);
}

TEST_F(ContextsTest, WithinTheToleranceItHasWhatIsLeftOfThat) {
  Start();
  EXPECT_EQ(AskWithDeadline(milliseconds(-150)), "waits");
  Pass(milliseconds(49));
  EXPECT_EQ(Late(*client_), "waits");
  Pass(milliseconds(1));
  EXPECT_EQ(Late(*client_),
            "trestle: reply: /svc/users/a: /#/fs/users: no reply within 50 ms (the caller's "
            "deadline)");
}

TEST_F(ContextsTest, TheToleranceIsConfigured) {
  config_.deadline_tolerance = milliseconds(0);
  Start();
  EXPECT_NE(AskWithDeadline(milliseconds(-1)), "waits");
  EXPECT_EQ(AskWithDeadline(milliseconds(1)), "waits");
}

TEST_F(ContextsTest, ADeadlineIsEnforced) {
  Start();
  EXPECT_EQ(AskWithDeadline(milliseconds(300)), "waits");
  Pass(milliseconds(299));
  EXPECT_EQ(Late(*client_), "waits");
  Pass(milliseconds(1));
  EXPECT_NE(Late(*client_).find("no reply within 300 ms (the caller's deadline)"),
            std::string::npos);
  EXPECT_EQ(Count("rt/thr/service/svc/users/a/failures/reply/timeout"), 1u);
}

TEST_F(ContextsTest, AClockAheadOfOursDoesNotGiveACallMoreThanItHad) {
  Start();
  // Set 100 ms before its end by a clock that is a minute ahead.
  EXPECT_EQ(AskWithDeadline(milliseconds(60'000), milliseconds(-59'900)), "waits");
  Pass(milliseconds(100));
  EXPECT_NE(Late(*client_).find("no reply within 100 ms (the caller's deadline)"),
            std::string::npos);
}

TEST_F(ContextsTest, TheSoonerOfTheDeadlineAndTheRoutersOwnTimeHolds) {
  service_config().total_timeout = milliseconds(200);
  Start();
  EXPECT_EQ(AskWithDeadline(milliseconds(500)), "waits");
  Pass(milliseconds(200));
  EXPECT_NE(Late(*client_).find("no reply within 200 ms (totalTimeoutMs)"), std::string::npos);
  EXPECT_EQ(AskWithDeadline(milliseconds(100)), "waits");
  Pass(milliseconds(100));
  EXPECT_NE(Late(*client_).find("(the caller's deadline)"), std::string::npos);
}

TEST_F(ContextsTest, ADeadlineThatDoesNotParseIsNone) {
  Start();
  EXPECT_EQ(AskWithContexts({{base::kDeadlineKey, "soon"}}), "10.0.0.1:1");
}

TEST_F(ContextsTest, PastMaxHopsACallIsRefused) {
  config_.max_hops = 3;
  Start();
  const std::string two = base::ShowHops(2), three = base::ShowHops(3);
  EXPECT_EQ(AskWithContexts({{base::kHopsKey, two}}), "10.0.0.1:1");
  EXPECT_EQ(AskWithContexts({{base::kHopsKey, three}}),
            "trestle: identify: /svc/users/a: it came through 3 routers already (maxHops): do they "
            "send it in a loop?");
  EXPECT_EQ(AskWithContexts({{base::kHopsKey, "x"}}), "10.0.0.1:1");
}

// --- calls of mux clients ---

class MuxNamesTest : public RouterTest {
 protected:
  MuxNamesTest() { config_.protocol = conf::RouterProtocol::kThriftMux; }

  // One dispatch on a session of its own: where it went, or the text of the error.
  std::string AskMux(const std::string& payload, std::string_view dst = {},
                     const tests::Pairs& dtab = {}) {
    auto [near, far] = tests::MemoryTransport::Pair(&worker_);
    server_->Accept(std::move(near));
    far->Send(tests::Tdispatch(2, payload, {}, dst, dtab));
    Serve();
    Settle();
    std::string in = far->TakeAll();
    auto all = tests::TakeMux(&in);
    EXPECT_EQ(all.size(), 1u);
    if (all.empty() || all[0].type != -2) return "no reply";
    if (all[0].status != 0) return std::to_string(all[0].status) + " " + all[0].payload;
    std::string framed = Frame(all[0].payload);
    auto messages = TakeMessages(&framed);
    return messages.empty() ? "no message" : messages[0].Text();
  }
  static std::string Get() { return Message(thrift::MessageType::kCall, "users:a", 1, kVoid); }
};

TEST_F(MuxNamesTest, AThriftMuxCallIsNamedByItsMessage) {
  namer_.Bind("users", {1});
  Start();
  EXPECT_EQ(AskMux(Get()), "10.0.0.1:1");
  EXPECT_EQ(AskMux(Get(), "/else"), "10.0.0.1:1") << "as Linkerd has it";
}

TEST_F(MuxNamesTest, WithThriftMuxDstInNameTheDestinationIsPartOfIt) {
  config_.thrift_mux_dst_in_name = true;
  namer_.Bind("users", {1});
  namer_.Bind("else", {2});
  Start();
  EXPECT_EQ(AskMux(Get(), "/else"), "10.0.0.1:2");
  EXPECT_EQ(AskMux(Get()), "10.0.0.1:1");
  EXPECT_EQ(AskMux(Get(), "/"), "10.0.0.1:1");
}

TEST_F(MuxNamesTest, TheDtabOfADispatchIsTheLocalDtab) {
  namer_.Bind("users", {1});
  namer_.Bind("users2", {2});
  Start();
  EXPECT_EQ(AskMux(Get(), "", {{"/svc/users", "/#/fs/users2"}}), "10.0.0.1:2");
  EXPECT_EQ(AskMux(Get()), "10.0.0.1:1");
  EXPECT_NE(AskMux(Get(), "", {{"/svc/users", "/a |"}}).find("trestle: identify"),
            std::string::npos)
      << "of that call only";
}

TEST_F(MuxNamesTest, AMuxCallIsNamedByItsDestinationAlone) {
  config_.protocol = conf::RouterProtocol::kMux;
  config_.client.protocol = conf::ClientProtocol::kThrift;
  namer_.Bind("users", {1});
  namer_.Bind("else", {2});
  Start();
  EXPECT_EQ(AskMux(Get(), "/else"), "10.0.0.1:2");
  EXPECT_EQ(AskMux(Get(), "/users/x"), "10.0.0.1:1");
  EXPECT_NE(AskMux(Get(), "/nobody").find("1 trestle: bind: /svc/nobody"), std::string::npos)
      << "an error of mux, as the payload may be anything";
  EXPECT_NE(AskMux(Get(), "no path").find("1 trestle: identify"), std::string::npos);
}

TEST_F(MuxNamesTest, ARouterThatIsReloadedWithAnotherRuleNamesCallsByThat) {
  namer_.Bind("users", {1});
  namer_.Bind("else", {2});
  Start();
  EXPECT_EQ(AskMux(Get(), "/else"), "10.0.0.1:1");
  config_.thrift_mux_dst_in_name = true;
  Reload();
  EXPECT_EQ(AskMux(Get(), "/else"), "10.0.0.1:2");
}

}  // namespace
}  // namespace trestle::router::testing
