// TlsTransport: a Transport that speaks TLS over another Transport, as server or as client.
//
// The handshake begins at once and goes on by itself; until it is done nothing can be read or
// written, and OnReadable or OnWritable tells that it is (or that it failed). It may begin in the
// middle of a stream, after an agreement in clear text: `unread` then has what was read behind that
// agreement, and the inner transport must have nothing left to write. The inner one must not be
// another TlsTransport.
//
// An end is in good order only by close_notify: without it the stream is broken (ECONNRESET).
//
// What is written counts as written when the inner transport took all of its record. Whoever is
// told that a part was taken, or nothing, must go on with the same bytes behind it: they may be
// encrypted already. At most 64 KiB of plaintext are.
//
// Lifetime: owns the inner transport; holds its context. It must not be destroyed inside a call of
// its own, but may be inside the Events it tells. Threading: its loop's. Errors: see Transport;
// why() says for people what was wrong.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/buffer.h"
#include "net/event_loop.h"
#include "net/transport.h"
#include "tls/context.h"
#include "tls/sessions.h"

struct bio_st;
struct ssl_st;
struct x509_store_ctx_st;

namespace trestle::tls {

class TlsTransport final : public net::Transport,
                           private net::Transport::Events,
                           private net::TurnEnd {
 public:
  static std::unique_ptr<TlsTransport> Server(net::EventLoop* loop,
                                              std::unique_ptr<net::Transport> inner,
                                              std::shared_ptr<const ServerContext> context,
                                              base::Buffer unread = {});
  // `sessions` may be null: nothing is resumed then. It outlives the transport.
  static std::unique_ptr<TlsTransport> Client(net::EventLoop* loop,
                                              std::unique_ptr<net::Transport> inner,
                                              std::shared_ptr<const ClientContext> context,
                                              ClientSessions* sessions, base::Buffer unread = {});
  ~TlsTransport() override;

  void Attach(net::Transport::Events* events) override;
  void WatchRead(Watch watch) override;
  void WatchWrite(bool on) override;
  net::IoResult Read(char* to, size_t room) override;
  net::IoResult Write(const struct iovec* from, int count) override;
  void ShutdownWrite() override;
  void Close(bool reset) override;
  bool end_ahead() const override;
  // Looks into what came: tickets and the like are not bytes.
  bool Readable() override;
  // Its identity: that of the peer's verified certificate (see reason.h).
  const net::Peer& peer() const override { return peer_; }
  int descriptor() const override { return inner_->descriptor(); }

  bool handshaking() const { return state_ == State::kHandshake; }
  // The handshake is done, and nothing broke since.
  bool open() const { return state_ == State::kOpen; }
  // Any byte of the peer's came.
  bool heard() const { return first_count_ > 0; }
  bool resumed() const;
  std::string version() const;  // "TLSv1.3"
  // What broke it, for people; empty while nothing did.
  std::string why() const override { return why_; }

 private:
  enum class State : uint8_t { kHandshake, kOpen, kFailed, kClosed };
  struct Record {
    uint64_t end;    // in the stream of ciphertext
    uint32_t plain;  // bytes of the caller's
  };
  friend struct Stream;  // OpenSSL's view of the inner transport

  TlsTransport(net::EventLoop* loop, std::unique_ptr<net::Transport> inner, bool server,
               base::Buffer unread);
  void Begin(ssl_st* ssl);
  void Step();
  void OnOpen();
  void Fail(int error, std::string why);
  void FailFrom(int result);
  void TellSoon();
  void ApplyWatch();
  size_t Encrypt(const struct iovec* from, int count, size_t at);
  void NoteRecord(size_t plain);
  size_t TakeGone();
  void SayEnd();

  void OnReadable() override;
  void OnWritable() override;
  void OnHangup() override;
  void OnEndAhead() override;
  void OnTurnEnd() override;

  // For OpenSSL: bytes, 0 at the end, or one of these.
  static constexpr long kNothingNow = -1, kBroke = -2;
  long ReadInner(char* to, size_t room);
  void KeepUnread();
  bool Drained() const;
  void CheckTalk();
  void Stage(const char* bytes, size_t size);
  void Flush();
  static int OnVerify(int ok, x509_store_ctx_st* store);

  net::EventLoop* loop_;
  std::unique_ptr<net::Transport> inner_;
  net::Transport::Events* events_ = nullptr;
  ssl_st* ssl_ = nullptr;
  State state_ = State::kHandshake;
  Watch watch_ = Watch::kOff;        // what the owner asked for
  Watch inner_watch_ = Watch::kOff;  // what the inner one was asked for
  bool server_;
  bool want_write_ = false;
  bool inner_write_ = false;
  bool blocked_ = false;        // the inner one took less than it was given
  bool write_waits_ = false;    // for the rest of a message of TLS's own
  bool shut_ = false;           // our end was said
  bool shut_inner_ = false;     // the inner one's end is to be said once all is written
  bool ended_ = false;          // close_notify came
  bool more_ = false;           // there is something to read that no event will tell of
  bool drained_ = false;        // the inner one has no more to read in this call
  bool buffered_only_ = false;  // this read is of what is here already
  bool tell_ = false;           // the owner is told at the end of the turn
  bool inner_end_ = false;
  int inner_error_ = 0;
  int write_error_ = 0;
  int error_ = 0;
  base::Buffer unread_;  // ciphertext that was read and not used
  std::string pending_;  // ciphertext that waits for the inner one
  size_t pending_at_ = 0;
  uint64_t staged_ = 0, sent_ = 0;  // ciphertext, ever
  // Records that are encrypted and were not reported as written.
  std::array<Record, 6> records_{};
  uint8_t record_count_ = 0;
  uint8_t first_count_ = 0;
  std::array<unsigned char, 5> first_{};  // the first bytes that came
  size_t owed_ = 0;                       // the plaintext in them
  size_t wanted_ = 0;                     // room of the reader
  size_t pulled_ = 0;                     // ciphertext, in this call of the reader
  size_t talk_ = 0;                       // ciphertext since the last byte for the reader
  std::string why_;
  net::Peer peer_;
  std::shared_ptr<const ServerContext> server_context_;
  std::shared_ptr<const ClientContext> client_context_;
  std::unique_ptr<ClientSessions::Place> place_;
};

}  // namespace trestle::tls
