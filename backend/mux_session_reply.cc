// The part of MuxSession for what the backend sends: messages, replies and their pieces.
#include <algorithm>
#include <utility>

#include "backend/mux_session.h"
#include "backend/peer_text.h"

namespace trestle::backend {
namespace {

using mux::Type;

// A reply that is not whole and larger than this gives way when memory is short.
constexpr size_t kSmallReply = 64 * 1024;

}  // namespace

void MuxSession::OnBytes(base::Buffer* in) {
  while (!dead_) {
    if (skip_ > 0 && !Skip(in)) return;
    mux::Frame frame;
    switch (frames_.Next(in, &frame)) {
      case mux::Outcome::kNeedMore:
        return OnMidFrame(in);
      case mux::Outcome::kMalformed:
        return LoseBad(frames_.why());
      case mux::Outcome::kOk:
        break;
    }
    OnFrame(&frame);
  }
}

void MuxSession::OnFrame(mux::Frame* frame) {
  if (frame->more && !mux::MayBeSplit(frame->type)) {
    return LoseBad("a fragment of a type that has none");
  }
  switch (frame->type) {
    case Type::kRdispatch:
    case Type::kRreq:
      return OnAnswer(frame);
    case Type::kRerr:
      return OnRerr(*frame);
    case Type::kRdiscarded:
      return OnRdiscarded(frame->tag);
    case Type::kTping:
      return Control(Type::kRping, frame->tag);
    case Type::kRping:
      if (frame->tag == mux::kControlTag) OnPong();
      return;
    case Type::kTdrain:
      return OnTdrain(frame->tag);
    case Type::kTlease:
      return OnTlease(std::move(frame->body));
    case Type::kTdispatch:
    case Type::kTreq:
    case Type::kTinit:
      if (frame->more) return;  // it is answered once
      return Control(Type::kOldRerr, frame->tag,
                     std::string("Unexpected mux message: ") + mux::TypeName(frame->type));
    default:  // answers that nobody waits for, and marks that have no meaning here
      return;
  }
}

void MuxSession::OnAnswer(mux::Frame* frame) {
  Entry* e = calls_.Find(frame->tag);
  if (!e) {
    if (!frame->more) owner_->OnStrayAnswer();
    return;
  }
  if (connection_.sent() <= e->begin) return LoseBad("a reply before the call was written");
  if (!e->call) return OnLateAnswer(e, frame);
  if (Join(e, frame)) OnReply(e, frame->type, std::move(frame->body));
}

bool MuxSession::Join(Entry* entry, mux::Frame* frame) {
  const uint32_t tag = entry->tag;
  if (!frame->more && !joiner_.Has(tag)) return true;
  metrics_.fragments_received->Add();
  const uint64_t all = pieces_[tag] += frame->body.size();
  if (all > uint64_t{options_.max_frame_bytes} + mux::kMaxHeaderBytes) {
    call::Call* call = entry->call;
    Abandon(entry, "its reply is too large");
    LoseOne(call, "a message over maxFrameBytes");
    return false;
  }
  switch (joiner_.Take(frame)) {
    case mux::Outcome::kOk:
      pieces_.erase(tag);
      return true;
    case mux::Outcome::kMalformed:
      LoseBad(joiner_.why());
      return false;
    case mux::Outcome::kNeedMore:
      break;
  }
  if (joiner_.bytes() > kSmallReply && Overfull()) RefuseLargest();
  return false;
}

void MuxSession::DropPieces(uint32_t tag) {
  if (pieces_.empty()) return;
  pieces_.erase(tag);
  joiner_.Drop(tag);
}

void MuxSession::OnReply(Entry* entry, Type type, base::Buffer body) {
  call::Call* call = entry->call;
  known_ |= type == Type::kRdispatch;
  MuxReply reply;
  const char* why = ReadMuxReply(type, std::move(body), &reply);
  Free(entry);
  if (why) return LoseOne(call, why);
  if (!reply.nacked()) return EndWith(call, std::move(reply));
  metrics_.nacks->Add();
  OnCallOver();
  owner_->OnNacked(call, base::Status(base::Code::kRefused, Where() + " nacked the call"));
}

void MuxSession::EndWith(call::Call* call, MuxReply reply) {
  thrift::ReplyKind kind = thrift::ReplyKind::kUnknown;
  const bool ok = reply.status == mux::ReplyStatus::kOk;
  if (ok && !call->mux_oneway()) {
    if (const char* why = MakeReplyFrame(*call, options_.max_frame_bytes, options_.verify_seqid,
                                         loop_->arena(), &reply.payload, &kind)) {
      return LoseOne(call, why);
    }
  }
  owner_->OnSuccess();
  OnCallOver();
  if (call->mux_oneway()) return call->OnewayDone();
  if (reply.status == mux::ReplyStatus::kNack) {
    metrics_.nacks->Add();
    return call->Fail(call::Step::kReply,
                      base::Status(base::Code::kUnavailable,
                                   Where() + " nacked the call and says not to send it again"));
  }
  if (!reply.headers.empty()) {
    call->reply_header_bytes = std::move(reply.headers);
    call->reply_form = call::HeaderForm::kMux;
  }
  if (!ok) return call->ReplyError(std::move(reply.payload));
  call->Reply(std::move(reply.payload), kind);
}

// --- answers that nobody waits for ---

void MuxSession::OnLateAnswer(Entry* entry, mux::Frame* frame) {
  if (frame->more) return;
  // A oneway is answered with an empty OK.
  MuxReply reply;
  const bool quiet = entry->state == State::kOneway &&
                     !ReadMuxReply(frame->type, std::move(frame->body), &reply) &&
                     reply.status == mux::ReplyStatus::kOk && reply.payload.empty();
  if (entry->state == State::kOneway && reply.nacked()) {
    metrics_.nacks->Add();
  } else if (!quiet) {
    owner_->OnStrayAnswer();
  }
  OnTagFree(entry);
}

void MuxSession::OnTagFree(Entry* entry) {
  const bool live = entry->state == State::kOneway;
  calls_.Remove(entry);
  if (live) return OnCallOver();
  if (!leaving_) owner_->OnRoom(this);
}

// --- memory ---

bool MuxSession::Overfull() const {
  return base::Block::BytesOnThread() > options_.max_buffered_bytes;
}

void MuxSession::RefuseLargest() {
  const auto largest =
      std::max_element(pieces_.begin(), pieces_.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  if (largest == pieces_.end() || largest->second <= kSmallReply) return;
  Refuse(calls_.Find(largest->first),
         base::Status(base::Code::kRefused,
                      "over maxBufferedBytes with a reply of " + Where() + " in the middle"));
}

// A large message in one piece that there is no memory for is dropped as it comes.
void MuxSession::OnMidFrame(base::Buffer* in) {
  if (in->size() <= kSmallReply || !Overfull()) return;
  char head[mux::kHeadBytes];
  in->CopyOut(0, head, sizeof head);
  uint32_t tag = 0;
  for (size_t i = 5; i < sizeof head; i++) tag = tag << 8 | static_cast<unsigned char>(head[i]);
  skip_ = frames_.missing();
  in->Clear();
  const auto type = static_cast<Type>(head[4]);
  if (type != Type::kRdispatch && type != Type::kRreq) return;
  Entry* e = calls_.Find(tag & mux::kMaxTag);
  if (!e || connection_.sent() <= e->begin) return;
  // What ends the reply frees the tag.
  if ((tag & mux::kMoreBit) == 0) skip_tag_ = e->tag;
  if (!e->call) return;
  Refuse(e, base::Status(base::Code::kRefused,
                         "over maxBufferedBytes with a reply of " + Where() + " in the middle"));
}

bool MuxSession::Skip(base::Buffer* in) {
  const auto n = static_cast<size_t>(std::min<uint64_t>(skip_, in->size()));
  if (n > 0) in->TrimFront(n);
  skip_ -= n;
  if (skip_ > 0) return false;
  const uint32_t tag = std::exchange(skip_tag_, 0);
  if (Entry* e = tag != 0 ? calls_.Find(tag) : nullptr) OnTagFree(e);
  return true;
}

}  // namespace trestle::backend
