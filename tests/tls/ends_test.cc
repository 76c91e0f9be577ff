// How streams end, and what peers do that we never would.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <cerrno>
#include <memory>
#include <string>
#include <utility>

#include "tests/tls/pair_fixture.h"
#include "tests/tls/raw_peer.h"

namespace trestle::tls {
namespace {

class EndsTest : public PairTest {
 protected:
  // Our server or client, and bare OpenSSL at the other end; `change` may change its context.
  template <class Change>
  void OpenRaw(bool raw_is_server, Change change, size_t capacity = 1 << 20) {
    auto [near, far] = MemoryTransport::Pair(&loop_, capacity);
    raw_ = std::make_unique<RawPeer>(raw_is_server, std::move(far));
    change(raw_->context.get());
    raw_->Begin(raw_is_server);
    End* ours = raw_is_server ? &client_ : &server_;
    ours->inner = near.get();
    auto tls = raw_is_server ? TlsTransport::Client(&loop_, std::move(near), Load(client_options_),
                                                    &sessions_)
                             : TlsTransport::Server(&loop_, std::move(near), Load(server_options_));
    ours->tls = tls.get();
    Own(ours, std::move(tls));
    Converse(raw_.get(), &loop_);
  }
  void OpenRaw(bool raw_is_server) {
    OpenRaw(raw_is_server, [](SSL_CTX*) {});
    ASSERT_TRUE((raw_is_server ? client_ : server_).tls->open());
  }

  std::unique_ptr<RawPeer> raw_;
};

TEST_F(EndsTest, AHalfCloseLeavesTheOtherWayOpen) {
  for (const char* version : {"TLSv1.2", "TLSv1.3"}) {
    Forget();
    client_options_.protocols = {version};
    OpenWell();
    client_.Write("the last");
    client_.connection->CloseAfterWrites();
    Settle(&loop_);
    EXPECT_EQ(server_.owner.got, "the last");
    EXPECT_EQ(server_.owner.ends, 1);
    EXPECT_EQ(server_.owner.gone, 0);
    EXPECT_EQ(client_.owner.closed, 0) << "it waits for the server's end";
    server_.Write("answer");  // a closing Connection drops it, but it is written
    server_.connection->CloseAfterWrites();
    Settle(&loop_);
    EXPECT_EQ(server_.owner.closed, 1);
    EXPECT_EQ(client_.owner.closed, 1);
    EXPECT_EQ(client_.owner.gone, 0);
    End2();
  }
}

TEST_F(EndsTest, AfterCloseNotifyRawPeersStillRead) {
  OpenRaw(false);
  raw_->Write("q");
  SSL_shutdown(raw_->ssl);
  raw_->Give();
  Settle(&loop_);
  EXPECT_EQ(server_.owner.got, "q");
  EXPECT_EQ(server_.owner.ends, 1);
  server_.Write("answer");
  Settle(&loop_);
  EXPECT_EQ(raw_->Read(), "answer");
}

TEST_F(EndsTest, AnEndBehindBytesIsKnownWithThem) {
  OpenRaw(false);
  bool ahead = false;
  server_.owner.on_bytes = [&](base::Buffer*) { ahead = server_.connection->end_ahead(); };
  SSL_write(raw_->ssl, "q", 1);
  SSL_shutdown(raw_->ssl);
  raw_->Give();
  Settle(&loop_);
  EXPECT_TRUE(ahead);
  EXPECT_EQ(server_.owner.ends, 1);
}

TEST_F(EndsTest, AnEndWithoutCloseNotifyIsATruncation) {
  for (const auto version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    OpenRaw(false, [&](SSL_CTX* c) { SSL_CTX_set_max_proto_version(c, version); });
    raw_->Write("half of it");
    raw_->end->ShutdownWrite();
    Settle(&loop_);
    EXPECT_EQ(server_.owner.got, "half of it");
    EXPECT_EQ(server_.owner.ends, 0);
    EXPECT_EQ(server_.owner.gone, 1);
    EXPECT_THAT(
        server_.owner.why.message(),
        testing::EndsWith(" broke: the peer closed it without close_notify: it was cut off"));
    server_.Drop();
  }
}

TEST_F(EndsTest, ATruncationHasAText) {
  OpenRaw(false);
  server_.tls->Attach(nullptr);
  raw_->end->ShutdownWrite();
  char some[10];
  const net::IoResult r = server_.tls->Read(some, sizeof some);
  EXPECT_EQ(r.kind, Kind::kBroken);
  EXPECT_EQ(r.error, ECONNRESET);
  EXPECT_EQ(server_.tls->why(), "the peer closed it without close_notify: it was cut off");
  struct iovec one {
    some, 1
  };
  EXPECT_EQ(server_.tls->Write(&one, 1).kind, Kind::kBroken);
}

TEST_F(EndsTest, AResetBreaksIt) {
  OpenWell();
  server_.connection->Close(true);
  Settle(&loop_);
  EXPECT_EQ(client_.owner.gone, 1);
  EXPECT_EQ(client_.owner.ends, 0);
}

TEST_F(EndsTest, AResetIsNoticedWhilePaused) {
  OpenWell();
  client_.connection->PauseReading();
  server_.connection->Close(true);
  Settle(&loop_);
  EXPECT_EQ(client_.owner.gone, 1);
}

TEST_F(EndsTest, AnEndIsNoticedAheadWhilePaused) {
  OpenWell();
  client_.connection->PauseReading();
  server_.Write("unread");
  server_.connection->CloseAfterWrites();
  Settle(&loop_);
  EXPECT_EQ(client_.owner.ahead, 1);
  EXPECT_EQ(client_.owner.ends, 0);
  client_.connection->ResumeReading();
  Settle(&loop_);
  EXPECT_EQ(client_.owner.got, "unread");
  EXPECT_EQ(client_.owner.ends, 1);
}

TEST_F(EndsTest, WhatCameBeforeAFailedWriteIsReadWhereItIsOfUse) {
  OpenWell();
  client_.owner.reads_rest = true;
  client_.inner->break_writes();
  server_.Write("early");
  loop_.Poll();  // sent, and not told yet
  client_.owner.got = "";
  client_.Write("the rest");
  Settle(&loop_);
  EXPECT_EQ(client_.owner.gone, 1);
  EXPECT_EQ(client_.owner.got, "early");
}

// As TlsConnector: waits for the handshake, and reads nothing.
struct FirstOwner final : net::Transport::Events {
  void OnReadable() override { tls->WatchRead(net::Transport::Watch::kOff); }
  void OnWritable() override {}
  void OnHangup() override {}
  void OnEndAhead() override {}
  TlsTransport* tls = nullptr;
};

TEST_F(EndsTest, AFirstWriteThatFailsHasTheReasonThatCameBefore) {
  auto [near, far] = MemoryTransport::Pair(&loop_);
  near->set_peer({*net::Address::Parse("10.0.0.1", 443), {}});
  raw_ = std::make_unique<RawPeer>(true, std::move(far));
  SSL_CTX_set_verify(raw_->context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                     nullptr);
  raw_->Begin(true);
  client_.inner = near.get();
  auto tls = TlsTransport::Client(&loop_, std::move(near), Load(client_options_), nullptr);
  client_.tls = tls.get();
  FirstOwner first;
  first.tls = tls.get();
  tls->Attach(&first);
  tls->WatchRead(net::Transport::Watch::kRead);
  Converse(raw_.get(), &loop_);  // it wants a certificate, and says so when all is done for us
  ASSERT_TRUE(client_.tls->open());
  client_.inner->break_writes();
  client_.owner.reads_rest = true;
  // In one turn: the session begins, and writes.
  loop_.Post([this, tls = std::make_shared<std::unique_ptr<TlsTransport>>(std::move(tls))] {
    client_.connection = std::make_unique<net::Connection>(&loop_, std::move(*tls), &client_.owner);
    client_.connection->Start();
    client_.Write("a call");
  });
  Settle(&loop_);
  EXPECT_EQ(client_.owner.why.message(),
            "connection to 10.0.0.1:443 broke: the peer wants a certificate of ours");
}

TEST_F(EndsTest, ADamagedRecordBreaksItAndBothAreTold) {
  OpenRaw(false);
  SSL_write(raw_->ssl, "hello", 5);
  std::string sealed = raw_->Sealed();
  sealed[8] = static_cast<char>(sealed[8] ^ 1);
  raw_->end->Send(sealed);
  Settle(&loop_);
  EXPECT_EQ(server_.owner.got, "");
  EXPECT_EQ(server_.owner.gone, 1);
  EXPECT_THAT(server_.owner.why.message(),
              testing::EndsWith(" broke: a record was damaged on its way"));
  raw_->Take();
  char c;
  ERR_clear_error();
  EXPECT_LE(SSL_read(raw_->ssl, &c, 1), 0);
  EXPECT_EQ(ERR_GET_REASON(ERR_peek_last_error()), SSL_R_SSLV3_ALERT_BAD_RECORD_MAC);
}

TEST_F(EndsTest, RenegotiationIsRefused) {
  OpenRaw(false, [](SSL_CTX* c) { SSL_CTX_set_max_proto_version(c, TLS1_2_VERSION); });
  ASSERT_TRUE(server_.tls->open());
  ASSERT_EQ(SSL_renegotiate(raw_->ssl), 1);
  ERR_clear_error();
  SSL_do_handshake(raw_->ssl);
  raw_->Give();
  Settle(&loop_);
  raw_->Take();
  ERR_clear_error();
  EXPECT_NE(SSL_do_handshake(raw_->ssl), 1);
  EXPECT_EQ(ERR_GET_REASON(ERR_peek_last_error()), SSL_R_NO_RENEGOTIATION);
}

TEST_F(EndsTest, AServersRenegotiationIsRefusedToo) {
  OpenRaw(true, [](SSL_CTX* c) { SSL_CTX_set_max_proto_version(c, TLS1_2_VERSION); });
  SSL_renegotiate(raw_->ssl);
  SSL_do_handshake(raw_->ssl);  // asks for one
  raw_->Give();
  Settle(&loop_);
  raw_->Take();
  ERR_clear_error();
  char c;
  EXPECT_LE(SSL_read(raw_->ssl, &c, 1), 0);
  EXPECT_EQ(ERR_GET_REASON(ERR_peek_last_error()), SSL_R_NO_RENEGOTIATION);
}

// Each of its questions gets a refusal, and it reads none of them.
TEST_F(EndsTest, WhatWaitsForAPeerThatOnlyAsksIsBounded) {
  OpenRaw(
      true, [](SSL_CTX* c) { SSL_CTX_set_max_proto_version(c, TLS1_2_VERSION); }, 5000);
  ASSERT_TRUE(client_.tls->open()) << client_.tls->why();
  client_.tls->Attach(nullptr);
  int asked = 0;
  char some[10];
  while (client_.tls->open() && asked < 20'000) {
    SSL_renegotiate(raw_->ssl);
    SSL_do_handshake(raw_->ssl);
    raw_->Give();
    asked++;
    client_.tls->Read(some, sizeof some);
  }
  EXPECT_GT(asked, 1000);
  EXPECT_LT(asked, 20'000);
  EXPECT_EQ(client_.tls->why(),
            "the peer reads nothing, and goes on asking for what TLS must answer");
}

TEST_F(EndsTest, KeysAreUpdatedWhenThePeerAsks) {
  OpenRaw(false);
  for (int i = 0; i < 5; i++) {
    ASSERT_EQ(SSL_key_update(raw_->ssl, SSL_KEY_UPDATE_REQUESTED), 1);
    raw_->Write("after update");
    Settle(&loop_);
    EXPECT_EQ(server_.owner.got, "after update");
    server_.owner.got = "";
    server_.Write("under new keys");
    Settle(&loop_);
    EXPECT_EQ(raw_->Read(), "under new keys");
  }
}

// --- what is no bytes for the reader ---

// So many fresh keys, none of which asks for one in return.
void UpdateKeys(RawPeer* peer, int times) {
  for (int i = 0; i < times; i++) {
    SSL_key_update(peer->ssl, SSL_KEY_UPDATE_NOT_REQUESTED);
    SSL_do_handshake(peer->ssl);
  }
}

TEST_F(EndsTest, APeerThatSendsFreshKeysWithoutEndIsCutOff) {
  OpenRaw(
      false, [](SSL_CTX*) {}, 10 << 20);
  UpdateKeys(raw_.get(), 20'000);
  raw_->Give();
  Settle(&loop_);
  EXPECT_EQ(server_.owner.gone, 1);
  EXPECT_THAT(server_.owner.why.message(),
              testing::HasSubstr("nothing but messages of TLS itself, without end"));
}

// Others have their turn meanwhile.
TEST_F(EndsTest, OneReadTakesSoMuchOfFreshKeysOnly) {
  OpenRaw(
      false, [](SSL_CTX*) {}, 10 << 20);
  server_.tls->Attach(nullptr);
  for (int i = 0; i < 40; i++) {
    UpdateKeys(raw_.get(), 500);
    raw_->Write("x");
  }
  std::string all;
  char some[64 * 1024];
  for (int reads = 1; all.size() < 40 && server_.tls->open(); reads++) {
    const net::IoResult r = server_.tls->Read(some, sizeof some);
    if (r.kind == Kind::kBytes) all.append(some, r.bytes);
    EXPECT_LE(all.size(), 16u * reads);
  }
  EXPECT_EQ(all, std::string(40, 'x'));
}

TEST_F(EndsTest, FreshKeysBetweenBytesMayGoOnForEver) {
  OpenRaw(
      false, [](SSL_CTX*) {}, 10 << 20);
  std::string sent;
  for (int i = 0; i < 20; i++) {
    UpdateKeys(raw_.get(), 1000);
    raw_->Write("x");
    sent += "x";
  }
  Settle(&loop_);
  EXPECT_EQ(server_.owner.got, sent);
  EXPECT_EQ(server_.owner.gone, 0);
}

TEST_F(EndsTest, GarbageInsteadOfTlsIsShown) {
  for (const bool server : {true, false}) {
    Begin();
    End& ours = server ? server_ : client_;
    End& other = server ? client_ : server_;
    MemoryTransport* far = other.inner;
    far->TakeAll();
    ours.inner->TakeAll();
    far->Send(std::string("\x80\x01\x00\x01\x00\x00\x00\x04ping", 12));
    ours.tls->Attach(nullptr);
    Settle(&loop_);
    EXPECT_EQ(ours.tls->why(), "the peer does not speak TLS (it sent 0x8001000100)");
    EXPECT_FALSE(ours.tls->open());
    End2();
  }
}

TEST_F(EndsTest, GarbageThatIsTextIsShownAsText) {
  auto [near, far] = MemoryTransport::Pair(&loop_);
  auto tls = TlsTransport::Server(&loop_, std::move(near), Load(server_options_));
  far->Send("GET / HTTP/1.1\r\n\r\n");
  Settle(&loop_);
  EXPECT_EQ(tls->why(), "the peer does not speak TLS (it sent \"GET /\")");
}

TEST_F(EndsTest, AClientThatLeavesInMidHandshakeIsTold) {
  auto [near, far] = MemoryTransport::Pair(&loop_);
  auto tls = TlsTransport::Server(&loop_, std::move(near), Load(server_options_));
  far->Send(std::string("\x16\x03\x01", 3));
  far->Close(false);
  Settle(&loop_);
  EXPECT_EQ(tls->why(), "the peer closed the connection in the middle of the handshake");
}

// --- records of the peer's choice ---

TEST_F(EndsTest, APeerThatWantsSmallRecordsGetsAllOfThem) {
  for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    OpenRaw(false, [version](SSL_CTX* context) {
      SSL_CTX_set_max_proto_version(context, version);
      SSL_CTX_set_tlsext_max_fragment_length(context, TLSEXT_max_fragment_length_512);
    });
    ASSERT_TRUE(server_.tls->open());
    const std::string all = Pattern(300'000);
    server_.Write(all);
    std::string got;
    for (int i = 0; i < 100 && got.size() < all.size(); i++) {
      Settle(&loop_);
      got += raw_->Read();
    }
    EXPECT_EQ(got, all);
    server_.Drop();
    Settle(&loop_);
  }
}

// The keys of one direction, to seal records that OpenSSL would not make.
class Sealer {
 public:
  // `secret`: as a line of a key log has it.
  explicit Sealer(const std::string& secret) {
    std::string bytes;
    for (size_t i = 0; i < secret.size(); i += 2) {
      bytes += static_cast<char>(std::stoi(secret.substr(i, 2), nullptr, 16));
    }
    key_ = Expand(bytes, "key", 32);
    iv_ = Expand(bytes, "iv", 12);
  }
  std::string Seal(char type, std::string bytes) {
    bytes += type;
    const size_t size = bytes.size() + 16;
    std::string record{'\x17', '\x03', '\x03', static_cast<char>(size >> 8),
                       static_cast<char>(size)};
    std::string nonce = iv_;
    for (int i = 0; i < 8; i++) nonce[11 - i] = static_cast<char>(nonce[11 - i] ^ count_ >> 8 * i);
    count_++;
    EVP_CIPHER_CTX* cipher = EVP_CIPHER_CTX_new();
    int n = 0;
    std::string sealed(bytes.size(), '\0'), tag(16, '\0');
    EVP_EncryptInit_ex(cipher, EVP_aes_256_gcm(), nullptr, Bytes(key_), Bytes(nonce));
    EVP_EncryptUpdate(cipher, nullptr, &n, Bytes(record), 5);
    EVP_EncryptUpdate(cipher, Bytes(sealed), &n, Bytes(bytes), static_cast<int>(bytes.size()));
    EVP_EncryptFinal_ex(cipher, Bytes(sealed), &n);
    EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, 16, tag.data());
    EVP_CIPHER_CTX_free(cipher);
    return record + sealed + tag;
  }

 private:
  static unsigned char* Bytes(std::string& s) { return reinterpret_cast<unsigned char*>(s.data()); }
  static std::string Expand(std::string secret, std::string label, size_t size) {
    std::string info{'\0', static_cast<char>(size), static_cast<char>(6 + label.size())};
    info += "tls13 " + label + '\0' + '\x01';
    std::string out(EVP_MAX_MD_SIZE, '\0');
    unsigned n = 0;
    HMAC(EVP_sha384(), secret.data(), static_cast<int>(secret.size()), Bytes(info), info.size(),
         Bytes(out), &n);
    return out.substr(0, size);
  }
  std::string key_, iv_;
  uint64_t count_ = 0;
};

std::string client_secret;  // of the last handshake

void NoteSecret(const SSL*, const char* line) {
  const std::string text = line;
  if (text.rfind("CLIENT_TRAFFIC_SECRET_0 ", 0) == 0) {
    client_secret = text.substr(text.rfind(' ') + 1);
  }
}

// In the middle of a message of TLS's own nothing can be written, and nobody may turn round and
// round for that.
TEST_F(EndsTest, HalfAMessageOfTlsItselfHoldsWritingUpUntilItsRestCame) {
  for (const bool paused : {false, true}) {
    OpenRaw(false, [](SSL_CTX* context) {
      SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
      SSL_CTX_set_ciphersuites(context, "TLS_AES_256_GCM_SHA384");
      SSL_CTX_set_keylog_callback(context, &NoteSecret);
    });
    ASSERT_TRUE(server_.tls->open());
    raw_->Read();  // the ticket
    Sealer sealer(client_secret);
    const std::string update("\x18\x00\x00\x01\x00", 5);  // KeyUpdate, none in return
    raw_->end->Send(sealer.Seal(22, update.substr(0, 4)));
    Settle(&loop_);
    if (paused) server_.connection->PauseReading();
    server_.Write("answer");
    Settle(&loop_);  // it comes to rest
    EXPECT_EQ(raw_->Read(), "");
    EXPECT_EQ(server_.owner.gone, 0);
    raw_->end->Send(sealer.Seal(22, update.substr(4)));
    Settle(&loop_);
    EXPECT_EQ(raw_->Read(), "answer") << paused;
    EXPECT_EQ(server_.owner.gone, 0);
    server_.Drop();
    Settle(&loop_);
  }
}

TEST_F(EndsTest, ASessionOfACertificateThatHasEndedIsNotResumed) {
  client_options_.disable_validation = true;  // or it would not come to one
  const auto expired = [](SSL_CTX* context) {
    SSL_CTX_use_certificate_file(context, Certs::Pem("expired").c_str(), SSL_FILETYPE_PEM);
    SSL_CTX_use_PrivateKey_file(context, Certs::KeyOf("expired").c_str(), SSL_FILETYPE_PEM);
  };
  const auto context = Load(client_options_);
  for (int i = 0; i < 2; i++) {
    auto [near, far] = MemoryTransport::Pair(&loop_);
    near->set_peer({*net::Address::Parse("10.0.0.1", 443), {}});
    if (!raw_) {
      raw_ = std::make_unique<RawPeer>(true, std::move(far));
      expired(raw_->context.get());
    } else {
      raw_->end = std::move(far);  // the same keys of tickets
    }
    raw_->Begin(true);
    auto tls = TlsTransport::Client(&loop_, std::move(near), context, &sessions_);
    TlsTransport* client = tls.get();
    Own(&client_, std::move(tls));
    Converse(raw_.get(), &loop_);
    ASSERT_TRUE(client->open());
    EXPECT_FALSE(client->resumed());
    EXPECT_EQ(client->why(), "") << "what nobody minds is no reason for anything";
    client_.Drop();
    Settle(&loop_);
  }
}

}  // namespace
}  // namespace trestle::tls
