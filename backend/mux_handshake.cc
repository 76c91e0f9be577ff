#include "backend/mux_handshake.h"

#include <utility>

#include "backend/peer_text.h"

namespace trestle::backend {
namespace {

using mux::Type;

// Answers are small messages, an Rinit with all its headers included.
constexpr uint32_t kMaxAnswerBytes = 64 * 1024 + 16;

// 80 01 and a type of Thrift reads as an Rerr with a high tag.
bool LooksLikeThrift(const mux::Frame& frame) {
  return static_cast<Type>(frame.wire) == Type::kRerr && frame.tag >> 16 == 1;
}

// A message that asks, and that a server may send whenever it likes.
bool IsAsked(Type type) { return static_cast<int8_t>(type) > 0; }

// The frame as it came, in front of `in`.
base::Buffer Whole(mux::Frame* frame, base::Buffer* in) {
  char head[mux::kHeadBytes];
  mux::WriteHead(static_cast<Type>(frame->wire), frame->tag, frame->more, frame->body.size(), head);
  base::Buffer all = base::Buffer::Copy(std::string_view(head, sizeof head));
  all.Append(std::move(frame->body));
  all.Append(std::move(*in));
  in->Clear();
  return all;
}

}  // namespace

MuxHandshake::MuxHandshake(net::EventLoop* loop, std::unique_ptr<net::Transport> transport,
                           Purpose purpose, const Wish& wish, base::Duration timeout, Owner* owner)
    : Exchange(loop, std::move(transport), timeout),
      purpose_(purpose),
      wish_(wish),
      time_(timeout),
      owner_(owner),
      frames_(kMaxAnswerBytes) {
  if (peer().secure) wish_.tls = mux::TlsLevel::kOff;
}

void MuxHandshake::Start() {
  Begin(mux::ShowMessage(Type::kOldRerr, mux::kControlTag, mux::kProbe));
}

void MuxHandshake::OnBytes(base::Buffer* in) {
  while (!over()) {
    mux::Frame frame;
    switch (frames_.Next(in, &frame)) {
      case mux::Outcome::kNeedMore:
        return;
      case mux::Outcome::kMalformed:
        return Refuse(base::Code::kMalformed, "it sent " + frames_.why());
      case mux::Outcome::kOk:
        break;
    }
    if (asked_) {
      OnRinit(frame, in);
    } else {
      OnFirst(&frame, in);
    }
  }
}

void MuxHandshake::OnFirst(mux::Frame* frame, base::Buffer* in) {
  if (LooksLikeThrift(*frame)) return Refuse(base::Code::kMalformed, "it answered in Thrift");
  const bool answers = frame->type == Type::kRerr && frame->tag == mux::kControlTag && !frame->more;
  if (purpose_ == Purpose::kProbe) {
    if (answers) return Agree({}, {});
    if (IsAsked(frame->type) && frame->tag <= mux::kControlTag) return;  // the answer comes behind
    return Refuse(base::Code::kMalformed, "it answered with another message");
  }
  if (answers && frame->body.Whole() == mux::kProbe) {
    asked_ = true;
    const std::string framer = mux::ShowFramer(wish_.fragment);
    const std::string_view tls = mux::TlsLevelName(wish_.tls);
    std::string init;
    mux::EncodeInit({mux::kVersion, {{mux::kFramerKey, framer}, {mux::kTlsKey, tls}}}, &init);
    return Say(mux::ShowMessage(Type::kTinit, mux::kControlTag, init));
  }
  if (wish_.tls == mux::TlsLevel::kRequired) {
    return Refuse(base::Code::kUnavailable,
                  "TLS is required, and it knows no handshake to agree on that");
  }
  // What it asks is the session's to answer.
  Agree(IsAsked(frame->type) ? Whole(frame, in) : std::move(*in), {});
}

void MuxHandshake::OnRinit(const mux::Frame& frame, base::Buffer* in) {
  // What it asks may come before what it answers.
  if (frame.type == Type::kTping || frame.type == Type::kTlease) return;
  base::Buffer body = frame.body.Share();
  if (frame.type == Type::kRerr) {
    return Refuse(base::Code::kMalformed, "it refused Tinit: " + PeerText(body));
  }
  mux::Init init;
  if (frame.type != Type::kRinit || frame.tag != mux::kControlTag || frame.more ||
      mux::DecodeInit(body.Whole(), &init).outcome != mux::Outcome::kOk) {
    return Refuse(base::Code::kMalformed, "it sent no Rinit");
  }
  if (init.version != mux::kVersion) {
    return Refuse(base::Code::kMalformed, "its version is " + std::to_string(init.version));
  }
  const mux::TlsLevel theirs = mux::TlsLevelOf(init);
  const mux::TlsChoice tls =
      peer().secure ? mux::TlsChoice::kClear : mux::ChooseTls(wish_.tls, theirs);
  if (tls == mux::TlsChoice::kRefuse) {
    return Refuse(base::Code::kUnavailable, theirs == mux::TlsLevel::kOff
                                                ? "TLS is required, and it wants none"
                                                : "it requires TLS, which is off here");
  }
  const uint32_t framer = mux::FramerOf(init).value_or(UINT32_MAX);
  if (framer < mux::kLeastFragment) {
    return Refuse(base::Code::kMalformed, "its mux-framer is " + std::to_string(framer));
  }
  Agree(std::move(*in), {true, framer, tls == mux::TlsChoice::kTls});
}

void MuxHandshake::OnBroken() {
  Refuse(base::Code::kClosed, std::string("the connection ended before ") + awaited() + Why());
}

void MuxHandshake::OnSilence() {
  Refuse(base::Code::kTimeout,
         std::string(awaited()) + " did not come within " + base::ShowMillis(time_));
}

void MuxHandshake::Agree(base::Buffer unread, const MuxTerms& terms) {
  owner_->OnAgreed(Take(), std::move(unread), terms);
}

void MuxHandshake::Refuse(base::Code code, const std::string& why) {
  const std::string from = peer().address.Show();
  Close();
  owner_->OnNoMux(base::Status(code, "no mux session with " + from + ": " + why));
}

}  // namespace trestle::backend
