// The first words of a mux session, and the probe.
#include "backend/mux_handshake.h"

#include <optional>

#include "tests/backend/captures.h"
#include "tests/backend/mux_fixture.h"

namespace trestle::backend {
namespace {

using Purpose = MuxHandshake::Purpose;

const std::string kProbe = mux::ShowMessage(Type::kOldRerr, 1, mux::kProbe);

std::string Init(Type type, uint16_t version, const Pairs& headers, uint32_t tag = 1) {
  mux::Init init;
  init.version = version;
  for (const auto& [key, value] : headers) init.headers.push_back({key, value});
  std::string body;
  mux::EncodeInit(init, &body);
  return mux::ShowMessage(type, tag, body);
}
std::string Rinit(const Pairs& headers = {}, uint16_t version = 1, uint32_t tag = 1) {
  return Init(Type::kRinit, version, headers, tag);
}

class MuxHandshakeTest : public testing::Test, protected MuxHandshake::Owner {
 protected:
  void Open(Purpose purpose = Purpose::kSession, size_t capacity = 1 << 20) {
    transport_.reset();
    agreed_ = failed_ = 0;
    why_ = base::Status::Ok();
    auto [near, far] = tests::MemoryTransport::Pair(&loop_, capacity);
    near->set_peer({*net::Address::Parse("10.0.0.1", 80), {}, secure_});
    near_ = near.get();
    far_ = std::move(far);
    MuxHandshake::Owner* self = this;
    handshake_ =
        std::make_unique<MuxHandshake>(&loop_, std::move(near), purpose, wish_, seconds(1), self);
    handshake_->Start();
    Settle(&loop_);
  }
  std::string Read() {
    Settle(&loop_);
    return far_->TakeAll();
  }
  void Say(std::string_view bytes) {
    far_->Send(bytes);
    Settle(&loop_);
  }
  void OnAgreed(std::unique_ptr<net::Transport> transport, base::Buffer unread,
                const MuxTerms& terms) override {
    agreed_++;
    transport_ = std::move(transport);
    unread_ = unread.ToString();
    terms_ = terms;
    loop_.DeleteLater(std::move(handshake_));
  }
  void OnNoMux(const base::Status& why) override {
    failed_++;
    why_ = why;
    loop_.DeleteLater(std::move(handshake_));
  }
  // It failed with this, and closed.
  void ExpectNoMux(base::Code code, std::string_view why) {
    EXPECT_EQ(failed_, 1);
    EXPECT_EQ(agreed_, 0);
    EXPECT_EQ(why_.code(), code);
    EXPECT_EQ(why_.message(), "no mux session with 10.0.0.1:80: " + std::string(why));
    EXPECT_TRUE(far_->peer_ended());
  }

  bool secure_ = false;  // the connection is in TLS already
  MuxHandshake::Wish wish_{65'536, mux::TlsLevel::kOff};
  base::FakeClock clock_;
  net::EventLoop loop_{&clock_};
  tests::MemoryTransport* near_ = nullptr;
  std::unique_ptr<tests::MemoryTransport> far_;
  std::unique_ptr<MuxHandshake> handshake_;
  std::unique_ptr<net::Transport> transport_;
  int agreed_ = 0, failed_ = 0;
  std::string unread_;
  MuxTerms terms_;
  base::Status why_;
};

TEST_F(MuxHandshakeTest, WhatBothSayOfTlsDecides) {
  using mux::TlsLevel;
  const TlsLevel levels[] = {TlsLevel::kOff, TlsLevel::kDesired, TlsLevel::kRequired};
  for (TlsLevel ours : levels) {
    for (TlsLevel theirs : levels) {
      wish_.tls = ours;
      Open();
      Read();
      Say(kProbe);
      EXPECT_EQ(Read(), Init(Type::kTinit, 1,
                             {{"mux-framer", mux::ShowFramer(65'536)},
                              {"tls", std::string(mux::TlsLevelName(ours))}}));
      Say(Rinit({{"tls", std::string(mux::TlsLevelName(theirs))}}) + "what follows");
      const bool required = ours == TlsLevel::kRequired || theirs == TlsLevel::kRequired;
      if (ours != TlsLevel::kOff && theirs != TlsLevel::kOff) {
        ASSERT_EQ(agreed_, 1);
        EXPECT_TRUE(terms_.tls);
        EXPECT_EQ(unread_, "what follows") << "it is of TLS";
      } else if (required) {
        ExpectNoMux(base::Code::kUnavailable, ours == TlsLevel::kRequired
                                                  ? "TLS is required, and it wants none"
                                                  : "it requires TLS, which is off here");
      } else {
        ASSERT_EQ(agreed_, 1);
        EXPECT_FALSE(terms_.tls);
      }
    }
  }
}

TEST_F(MuxHandshakeTest, WithoutAHandshakeThereIsNoTls) {
  wish_.tls = mux::TlsLevel::kDesired;
  Open();
  Say(mux::ShowMessage(Type::kOldRerr, 1, "what?"));
  ASSERT_EQ(agreed_, 1);
  EXPECT_FALSE(terms_.tls);
  wish_.tls = mux::TlsLevel::kRequired;
  Open();
  Say(mux::ShowMessage(Type::kOldRerr, 1, "what?"));
  ExpectNoMux(base::Code::kUnavailable,
              "TLS is required, and it knows no handshake to agree on that");
}

TEST_F(MuxHandshakeTest, AConnectionInTlsAsksForNoMoreOfIt) {
  wish_.tls = mux::TlsLevel::kRequired;
  secure_ = true;
  Open();
  Read();
  Say(kProbe);
  EXPECT_EQ(Read(),
            Init(Type::kTinit, 1, {{"mux-framer", mux::ShowFramer(65'536)}, {"tls", "off"}}));
  Say(Rinit({{"tls", "required"}}));
  ASSERT_EQ(agreed_, 1);
  EXPECT_FALSE(terms_.tls);
}

TEST_F(MuxHandshakeTest, TheProbeThenTinitThenRinit) {
  Open();
  EXPECT_EQ(Read(), kProbe);
  Say(kProbe);
  EXPECT_EQ(Read(),
            Init(Type::kTinit, 1, {{"mux-framer", mux::ShowFramer(65'536)}, {"tls", "off"}}));
  EXPECT_EQ(agreed_, 0) << "nothing else goes out until each answer is there";
  Say(Rinit({{"mux-framer", mux::ShowFramer(1234)}, {"tls", "off"}, {"unknown", "x"}}));
  ASSERT_EQ(agreed_, 1);
  EXPECT_TRUE(terms_.negotiated);
  EXPECT_EQ(terms_.framer, 1234u);
  EXPECT_EQ(unread_, "");
  EXPECT_FALSE(far_->peer_ended());
}

TEST_F(MuxHandshakeTest, WithoutAFramerThereIsNoLimit) {
  for (const Pairs& headers :
       {Pairs{}, Pairs{{"mux-framer", "bad"}}, Pairs{{"mux-framer", mux::ShowFramer(0)}}}) {
    Open();
    Say(kProbe);
    Say(Rinit(headers));
    ASSERT_EQ(agreed_, 1);
    EXPECT_EQ(terms_.framer, UINT32_MAX);
  }
}

TEST_F(MuxHandshakeTest, TheNewNumberOfRerrIsAnEchoToo) {
  Open();
  Say(mux::ShowMessage(Type::kRerr, 1, mux::kProbe));
  Say(Rinit());
  EXPECT_EQ(agreed_, 1);
  EXPECT_TRUE(terms_.negotiated);
}

TEST_F(MuxHandshakeTest, ByteByByteAndWhatComesBehindIsHandedOn) {
  Open();
  near_->set_max_read(1);
  Say(kProbe + Rinit().substr(0, 5));
  Say(Rinit().substr(5));
  ASSERT_EQ(agreed_, 1);
  Open();
  Say(kProbe);
  Say(Rinit() + Tlease(1000) + "half");
  ASSERT_EQ(agreed_, 1);
  EXPECT_EQ(unread_, Tlease(1000) + "half");
}

TEST_F(MuxHandshakeTest, AnyOtherFirstAnswerBeginsTheSessionWithoutTinit) {
  for (const std::string& answer :
       {mux::ShowMessage(Type::kOldRerr, 1, "unexpected message type 127"),
        mux::ShowMessage(Type::kOldRerr, 7, mux::kProbe), mux::ShowMessage(Type::kRping, 1),
        Ok(2, "x"), mux::ShowMessage(Type::kOldRerr, 1)}) {
    Open();
    Read();
    Say(answer + "more");
    ASSERT_EQ(agreed_, 1);
    EXPECT_FALSE(terms_.negotiated);
    EXPECT_EQ(terms_.framer, UINT32_MAX);
    EXPECT_EQ(unread_, "more") << "the answer is dropped";
    EXPECT_EQ(Read(), "");
  }
}

TEST_F(MuxHandshakeTest, AFirstAnswerThatAsksIsTheSessions) {
  for (const std::string& asks :
       {mux::ShowMessage(Type::kTping, 1), mux::ShowMessage(Type::kTdrain, 1), Tlease(5)}) {
    Open();
    Say(asks + "more");
    ASSERT_EQ(agreed_, 1);
    EXPECT_EQ(unread_, asks + "more");
  }
}

TEST_F(MuxHandshakeTest, AnythingButAGoodRinitEndsIt) {
  struct Case {
    base::Code code;
    const char* why;
    std::string bytes;
  };
  for (const Case& c : std::vector<Case>{
           {base::Code::kMalformed, "it refused Tinit: Unsupported Mux version: 1",
            mux::ShowMessage(Type::kOldRerr, 1, "Unsupported Mux version: 1")},
           {base::Code::kMalformed, "its version is 2", Rinit({}, 2)},
           {base::Code::kMalformed, "it sent no Rinit", Rinit({}, 1, 2)},
           {base::Code::kMalformed, "it sent no Rinit", mux::ShowMessage(Type::kRinit, 1, "\1")},
           {base::Code::kMalformed, "it sent no Rinit", mux::ShowMessage(Type::kRping, 1)},
           {base::Code::kMalformed, "it sent no Rinit", Ok(1, "x")},
           {base::Code::kUnavailable, "it requires TLS, which is off here",
            Rinit({{"tls", "required"}})},
           {base::Code::kMalformed,
            "it sent a message of 1213486160 bytes, over the bound of 65552", "HTTP/1.1 400"},
           {base::Code::kMalformed, "it sent a message of the unknown type 17",
            std::string("\0\0\0\4\x11\0\0\1", 8)},
       }) {
    Open();
    Read();
    Say(kProbe);
    Say(c.bytes);
    ExpectNoMux(c.code, c.why);
  }
}

TEST_F(MuxHandshakeTest, AThriftServersAnswerIsNoMux) {
  for (Purpose purpose : {Purpose::kSession, Purpose::kProbe}) {
    Open(purpose);
    Say(ExceptionFrame("m", 0));
    ExpectNoMux(base::Code::kMalformed, "it answered in Thrift");
  }
}

TEST_F(MuxHandshakeTest, SilenceEndsItInTime) {
  Open();
  clock_.Advance(milliseconds(999));
  Settle(&loop_);
  EXPECT_EQ(failed_, 0);
  clock_.Advance(milliseconds(1));
  Settle(&loop_);
  ExpectNoMux(base::Code::kTimeout, "the probe's answer did not come within 1000 ms");
  Open();
  Say(kProbe);
  clock_.Advance(milliseconds(1000));
  Settle(&loop_);
  ExpectNoMux(base::Code::kTimeout, "Rinit did not come within 1000 ms");
}

TEST_F(MuxHandshakeTest, TheEndOfTheConnectionEndsIt) {
  for (bool reset : {false, true}) {
    Open();
    far_->Close(reset);
    Settle(&loop_);
    EXPECT_EQ(failed_, 1);
    EXPECT_EQ(why_.code(), base::Code::kClosed);
  }
  Open();
  Say(kProbe);
  far_->Close(false);
  Settle(&loop_);
  EXPECT_NE(why_.message().find("the connection ended before Rinit"), std::string::npos);
}

TEST_F(MuxHandshakeTest, ABlockedConnectionGetsItAllTheSame) {
  Open(Purpose::kSession, 3);
  std::string all;
  char some[8];
  for (net::IoResult r = far_->Read(some, sizeof some); r.kind == net::IoResult::Kind::kBytes;
       r = far_->Read(some, sizeof some)) {
    all.append(some, r.bytes);
    Settle(&loop_);
  }
  EXPECT_EQ(all, kProbe);
}

TEST_F(MuxHandshakeTest, EveryOtherByteInItsAnswersIsSafe) {
  const std::string rinit = Rinit({{"mux-framer", mux::ShowFramer(100)}, {"tls", "off"}});
  const std::string good = kProbe + rinit;
  for (size_t at = 0; at < good.size(); at++) {
    Open();
    std::string bytes = good;
    bytes[at] = static_cast<char>(bytes[at] ^ 0xff);
    Say(bytes.substr(0, kProbe.size()));
    if (agreed_ + failed_ == 0) Say(bytes.substr(kProbe.size()));
    clock_.Advance(seconds(1));
    Settle(&loop_);
    EXPECT_EQ(agreed_ + failed_, 1) << at;
  }
}

// --- as a probe ---

TEST_F(MuxHandshakeTest, AsAProbeAnRerrUnderItsTagIsMux) {
  for (const char* text : {"tinit check", "unexpected message type 127", ""}) {
    Open(Purpose::kProbe);
    EXPECT_EQ(Read(), kProbe);
    Say(mux::ShowMessage(Type::kOldRerr, 1, text));
    EXPECT_EQ(agreed_, 1);
    EXPECT_EQ(Read(), "") << "and no more is said";
  }
}

TEST_F(MuxHandshakeTest, AsAProbeItLooksPastWhatABackendSaysOnItsOwn) {
  Open(Purpose::kProbe);
  Say(Tlease(1000) + mux::ShowMessage(Type::kTping, 1));
  EXPECT_EQ(agreed_ + failed_, 0);
  Say(kProbe);
  EXPECT_EQ(agreed_, 1);
}

TEST_F(MuxHandshakeTest, AsAProbeOtherBytesAreNoMux) {
  for (const std::string& bytes :
       {Ok(2, "x"), mux::ShowMessage(Type::kTdispatch, 2), mux::ShowMessage(Type::kOldRerr, 2),
        std::string("HTTP/1.1 400 Bad Request\r\n\r\n"), ReplyFrame("m", 1),
        std::string("\0\0\0\x0c\x82\x21\x01\1m\0\0\0\0\0\0\0", 16)}) {
    Open(Purpose::kProbe);
    Say(bytes);
    EXPECT_EQ(failed_, 1);
    EXPECT_NE(why_.code(), base::Code::kTimeout);
  }
}

// --- what real peers said ---

TEST_F(MuxHandshakeTest, ItSaysWhatFinaglesClientSays) {
  const auto client = Captured("thriftmux_session_start", "client");
  const auto server = Captured("thriftmux_session_start", "server");
  auto [near, far] = tests::MemoryTransport::Pair(&loop_);
  MuxHandshake::Owner* self = this;
  handshake_ = std::make_unique<MuxHandshake>(&loop_, std::move(near), Purpose::kSession,
                                              MuxHandshake::Wish{}, seconds(1), self);
  far_ = std::move(far);
  handshake_->Start();
  EXPECT_EQ(Read(), client[0]);
  Say(server[0]);
  EXPECT_EQ(Read(), client[1]);
  Say(server[1]);
  EXPECT_EQ(agreed_, 1);
  EXPECT_EQ(terms_.framer, static_cast<uint32_t>(INT32_MAX));
}

TEST_F(MuxHandshakeTest, AFinagleServerThatRequiresTlsIsRefused) {
  const auto server = Captured("thriftmux_tls_opportunistic_refused", "server");
  Open();
  Say(server.at(0));
  Say(server.at(1));
  EXPECT_EQ(failed_, 1);
  EXPECT_NE(why_.message().find("requires TLS"), std::string::npos) << why_.message();
}

TEST_F(MuxHandshakeTest, ABackendThatWantsTinyPiecesIsRefused) {
  Open();
  Say(kProbe);
  Say(Rinit({{"mux-framer", mux::ShowFramer(63)}}));
  ExpectNoMux(base::Code::kMalformed, "its mux-framer is 63");
  Open();
  Say(kProbe);
  Say(Rinit({{"mux-framer", mux::ShowFramer(64)}}));
  EXPECT_EQ(terms_.framer, 64u);
}

TEST_F(MuxHandshakeTest, WhatItAsksMayComeBeforeRinit) {
  Open();
  Say(kProbe);
  Say(mux::ShowMessage(Type::kTping, 1) + Tlease(1000) + Rinit());
  EXPECT_EQ(agreed_, 1);
  EXPECT_TRUE(terms_.negotiated);
}

}  // namespace
}  // namespace trestle::backend
