// TLS over real sockets: with Connections at both ends, and with OpenSSL's own programs.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>

#include "net/connection.h"
#include "net/connector.h"
#include "net/listener.h"
#include "net/tcp_transport.h"
#include "tests/net/recording_owner.h"
#include "tests/tls/certs.h"
#include "tls/handshake.h"
#include "tls/tls_connector.h"

namespace trestle::tls {
namespace {

using net::Connection;
using net::RecordingOwner;
using std::chrono::seconds;

class TcpTest : public testing::Test {
 protected:
  TcpTest() {
    server_options_.certificates = {Certs::Pair("a")};
    server_options_.tickets = std::make_shared<TicketKeys>(&clock_);
    client_options_.common_name = "a.example";
    client_options_.trust_certs = {Certs::Pem("ca")};
  }
  void Listen() {
    context_ = *ServerContext::Load(server_options_);
    ASSERT_TRUE(listener_.Listen(*net::Address::Parse("127.0.0.1", 0), net::SocketOptions()).ok());
    listener_.Start();
  }
  void OnAccepted(int fd, const net::Address& peer) {
    if (small_buffers_) {
      int size = 4096;
      setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    }
    auto tcp = std::make_unique<net::TcpTransport>(&loop_, fd, peer, net::SocketOptions());
    accepting_ =
        std::make_unique<Accepting>(&loop_, std::move(tcp), context_, seconds(10), [this](auto r) {
          loop_.DeleteLater(std::move(accepting_));
          if (!r.ok()) {
            refused_ = r.status();
            return;
          }
          server_owner_.got = "";
          server_ = std::make_unique<Connection>(&loop_, std::move(*r), &server_owner_);
          server_->Start();
        });
  }
  void Connect(const net::Address& to) {
    connector_ = std::make_unique<TlsConnector>(
        &loop_, std::make_unique<net::TcpConnector>(&loop_, net::SocketOptions()),
        *ClientContext::Load(client_options_), &sessions_);
    attempt_ = connector_->Connect(to, seconds(10), [this](auto r) {
      loop_.DeleteLater(std::move(attempt_));
      if (!r.ok()) {
        failed_ = r.status();
        return;
      }
      tls_ = dynamic_cast<TlsTransport*>(r->get());
      client_ = std::make_unique<Connection>(&loop_, std::move(*r), &client_owner_);
      client_->Start();
    });
  }
  void Open() {
    Listen();
    Connect(listener_.address());
    Until([&] { return client_ && server_; });
  }
  template <class Condition>
  void Until(Condition done) {
    while (!done()) loop_.Poll();
  }
  static std::string Pattern(size_t size) {
    std::string out(size, '\0');
    for (size_t i = 0; i < size; i++) out[i] = static_cast<char>(i * 31 >> 5);
    return out;
  }
  // Runs a command of the shell's, which is told things by Say(); its output is read by Output().
  void Run(const std::string& command) {
    const std::string pipe = Certs::Dir() + "/input";
    unlink(pipe.c_str());
    ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
    program_ = popen((command + " <" + pipe + " 2>&1").c_str(), "r");
    input_ = open(pipe.c_str(), O_WRONLY | O_CLOEXEC);
    ASSERT_GE(input_, 0);
  }
  void Say(std::string_view line) {
    ASSERT_EQ(write(input_, line.data(), line.size()), static_cast<ssize_t>(line.size()));
  }
  std::string Output() {
    close(input_);
    std::string all;
    char some[4096];
    for (size_t n; (n = fread(some, 1, sizeof some, program_)) > 0;) all.append(some, n);
    pclose(program_);
    return all;
  }

  base::SystemClock clock_;
  net::EventLoop loop_{&clock_};
  ServerOptions server_options_;
  ClientOptions client_options_;
  ClientSessions sessions_;
  std::shared_ptr<const ServerContext> context_;
  net::Listener listener_{&loop_,
                          [this](int fd, const net::Address& peer) { OnAccepted(fd, peer); }};
  bool small_buffers_ = false;
  std::unique_ptr<Accepting> accepting_;
  std::unique_ptr<TlsConnector> connector_;
  std::unique_ptr<net::Connector::Attempt> attempt_;
  RecordingOwner server_owner_, client_owner_;
  std::unique_ptr<Connection> server_, client_;
  TlsTransport* tls_ = nullptr;
  base::Status refused_, failed_;
  FILE* program_ = nullptr;
  int input_ = -1;
};

TEST_F(TcpTest, LargeBytesGoBothWaysAtOnce) {
  small_buffers_ = true;
  Open();
  const std::string sent = Pattern(1 << 20);
  client_->Write(base::Buffer::Copy(sent));
  server_->Write(base::Buffer::Copy(sent));
  Until([&] { return server_owner_.got.size() == sent.size(); });
  Until([&] { return client_owner_.got.size() == sent.size(); });
  EXPECT_TRUE(server_owner_.got == sent);
  EXPECT_TRUE(client_owner_.got == sent);
  client_->CloseAfterWrites();
  Until([&] { return server_owner_.ends == 1; });
  server_->CloseAfterWrites();
  Until([&] { return server_owner_.closed == 1 && client_owner_.closed == 1; });
  EXPECT_EQ(server_owner_.gone + client_owner_.gone, 0);
}

TEST_F(TcpTest, AResetIsSeenWhileOutputWaitsAndReadingIsPaused) {
  small_buffers_ = true;
  Open();
  client_->PauseReading();
  server_->Write(base::Buffer::Copy(Pattern(8 << 20)));
  Until([&] { return server_->blocked(); });
  server_->PauseReading();
  client_->Close(true);
  Until([&] { return server_owner_.gone == 1; });
}

TEST_F(TcpTest, AResetIsSeenWhilePaused) {
  Open();
  server_->PauseReading();
  client_->Write(base::Buffer::Copy("unread"));
  for (int i = 0; i < 5; i++) loop_.Poll();
  client_->Close(true);
  Until([&] { return server_owner_.gone == 1; });
  EXPECT_EQ(server_owner_.got, "");
}

TEST_F(TcpTest, AnEndIsSeenAheadWhilePaused) {
  Open();
  server_->PauseReading();
  client_->Write(base::Buffer::Copy("unread"));
  client_->CloseAfterWrites();
  Until([&] { return server_owner_.ahead == 1; });
  server_->ResumeReading();
  Until([&] { return server_owner_.ends == 1; });
  EXPECT_EQ(server_owner_.got, "unread");
}

TEST_F(TcpTest, TheLastBytesOfAWriterThatClosesArrive) {
  small_buffers_ = true;
  Open();
  client_->Write(base::Buffer::Copy("bye"));
  client_->CloseAfterWrites();
  Until([&] { return server_owner_.ends == 1; });
  const std::string sent = Pattern(700'001);
  server_->Write(base::Buffer::Copy(sent));
  server_->CloseAfterWrites();
  Until([&] { return server_owner_.closed == 1 && client_owner_.closed == 1; });
  EXPECT_EQ(server_->sent(), sent.size());
}

TEST_F(TcpTest, AClientThatIsNotLetInHearsWhy) {
  server_options_.require_client_auth = true;
  server_options_.ca_cert_path = Certs::Pem("ca");
  Listen();
  Connect(listener_.address());
  Until([&] { return !refused_.ok() && client_owner_.gone == 1; });
  EXPECT_NE(refused_.message().find("the client has no certificate"), std::string::npos)
      << refused_.message();
  EXPECT_EQ(tls_->why(), "the peer wants a certificate of ours");
}

// --- OpenSSL's programs ---

TEST_F(TcpTest, OpenSslsClientIsServedAndItsRenegotiationIsRefused) {
  Listen();
  Run("openssl s_client -tls1_2 -connect " + listener_.address().Show() +
      " -servername a.example -CAfile " + Certs::Pem("ca") + " -verify_return_error");
  Say("hello\n");
  Until([&] { return server_owner_.got == "hello\n"; });
  Say("R\n");
  Until([&] { return server_owner_.ends + server_owner_.gone > 0; });
  const std::string output = Output();
  EXPECT_NE(output.find("Verify return code: 0 (ok)"), std::string::npos) << output;
  EXPECT_NE(output.find("RENEGOTIATING"), std::string::npos) << output;
  EXPECT_NE(output.find("no renegotiation"), std::string::npos) << output;
}

TEST_F(TcpTest, OpenSslsClientResumesWithTickets) {
  server_owner_.on_bytes = [this](base::Buffer*) { server_->CloseAfterWrites(); };
  Listen();
  const std::string session = Certs::Dir() + "/session";
  const std::string client =
      "openssl s_client -connect " + listener_.address().Show() + " -CAfile " + Certs::Pem("ca");
  Run(client + " -sess_out " + session);
  Say("one\n");
  Until([&] { return server_owner_.closed == 1; });
  EXPECT_NE(Output().find("New, TLSv1.3"), std::string::npos);
  Run(client + " -sess_in " + session);
  Say("two\n");
  Until([&] { return server_owner_.closed == 2; });
  const std::string output = Output();
  EXPECT_NE(output.find("Reused, TLSv1.3"), std::string::npos) << output;
}

TEST_F(TcpTest, OpenSslsServerIsSpokenTo) {
  // A port that was free a moment ago.
  ASSERT_TRUE(listener_.Listen(*net::Address::Parse("127.0.0.1", 0), net::SocketOptions()).ok());
  const net::Address at = listener_.address();
  listener_.Close();
  Run("openssl s_server -accept " + at.Show() + " -cert " + Certs::Pem("a_chain") + " -key " +
      Certs::KeyOf("a") + " -cert_chain " + Certs::Pem("intermediate") + " -rev -naccept 1 -quiet");
  while (!client_) {
    failed_ = base::Status();
    Connect(at);
    Until([&] { return client_ || !failed_.ok(); });
  }
  client_->Write(base::Buffer::Copy("stressed\n"));
  Until([&] { return client_owner_.got.size() >= 9; });
  EXPECT_EQ(client_owner_.got, "desserts\n");
  client_->CloseAfterWrites();
  Until([&] { return client_owner_.closed == 1; });
  Output();
}

}  // namespace
}  // namespace trestle::tls
