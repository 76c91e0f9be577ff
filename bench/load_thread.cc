#include "bench/load_thread.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <ctime>

#include "bench/bytes.h"
#include "bench/mux_wire.h"
#include "bench/socket.h"

namespace trestle::bench {
namespace {

constexpr size_t kReadBytes = 256 * 1024;
constexpr int64_t kLongestWait = 20'000'000;  // ns; how late Stop() may be seen

int64_t NowNs() {
  return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
}

// Another number for every trace, without a pattern (Steele, Lea and Flood's SplitMix).
uint64_t NextTrace(uint64_t* state) {
  uint64_t z = *state += 0x9e3779b97f4a7c15;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

}  // namespace

LoadThread::LoadThread(const LoadOptions& options, const EchoMessage* message)
    : options_(options),
      message_(message),
      slot_bits_(static_cast<uint32_t>(std::bit_width(options.in_flight - 1))),
      trace_(static_cast<uint64_t>(NowNs())),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      in_(kReadBytes) {
  if (epoll_ < 0) DieOfErrno("epoll_create1");
}

LoadThread::~LoadThread() {
  for (const auto& c : connections_) {
    if (c->fd >= 0) close(c->fd);
  }
  close(epoll_);
}

void LoadThread::Run() {
  begin_ = NowNs();
  for (uint32_t i = 0; i < options_.connections; i++) {
    connections_.push_back(std::make_unique<Connection>(message_, options_.in_flight));
    Open(connections_.back().get());
  }
  while (!stop_ && open_ > 0) {
    Wait();
    if (options_.rate > 0) CallWhatIsDue();
  }
  over_ = open_ == 0;
}

void LoadThread::Open(Connection* c) {
  ++open_;
  std::string why;
  if (!Connect(c, &why)) return Fail(c, why);
  Watch(epoll_, c->fd, c);
  if (options_.rate > 0) {
    ready_.push_back(c);
    c->queued = true;
    return;
  }
  const int64_t now = NowNs();
  while (!c->free.empty()) Call(c, now);
  Flush(c);
}

bool LoadThread::Connect(Connection* c, std::string* why) {
  c->fd = ConnectTo(options_.port);
  if (c->fd < 0) {
    *why = std::string("connect: ") + std::strerror(errno);
    return false;
  }
  return message_->dialect() == Dialect::kFramed ||
         StartMuxSession(c->fd, message_->call_bytes() - kMuxHead, why);
}

void LoadThread::Fail(Connection* c, const std::string& why) {
  ++errors_;
  if (first_error_.empty()) first_error_ = why;
  if (c->fd >= 0) close(c->fd);
  c->fd = -1;
  --open_;
}

// The low bits of a seqid name the slot; those above tell one call of it from the next. In mux the
// tag names the slot too.
void LoadThread::Call(Connection* c, int64_t start) {
  const uint32_t i = c->free.Take();
  const uint32_t seqid = (++c->made << slot_bits_ | i) & 0x7fffffff;
  c->slots[i] = {seqid, true, start};
  message_->AppendCall({seqid, kMuxFirstTag + i, NextTrace(&trace_)}, &c->out);
}

void LoadThread::Flush(Connection* c) {
  while (c->out_at < c->out.size()) {
    const ssize_t n =
        send(c->fd, c->out.data() + c->out_at, c->out.size() - c->out_at, MSG_NOSIGNAL);
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) return Fail(c, std::string("write: ") + std::strerror(errno));
    c->out_at += static_cast<size_t>(n);
  }
  c->out.clear();
  c->out_at = 0;
}

void LoadThread::Serve(Connection* c, uint32_t events) {
  if (c->fd < 0) return;
  for (bool more = (events & ~uint32_t{EPOLLOUT}) != 0; more;) {
    const ssize_t n = recv(c->fd, in_.data(), in_.size(), 0);
    if (n < 0 && errno == EAGAIN) break;
    if (n < 0) return Fail(c, std::string("read: ") + std::strerror(errno));
    if (n == 0) return Fail(c, "the other side closed the connection");
    if (!Take(c, {in_.data(), static_cast<size_t>(n)})) return;
    // A read that was not full emptied the socket, but for an end behind it.
    more = static_cast<size_t>(n) == in_.size() || (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
  }
  Flush(c);
}

bool LoadThread::Take(Connection* c, std::string_view bytes) {
  const int64_t now = NowNs();
  const std::string_view all = bytes;
  while (!bytes.empty()) {
    size_t used = 0;
    const auto outcome = c->check.Feed(bytes, &used);
    bytes.remove_prefix(used);
    if (outcome == ReplyCheck::Outcome::kWrong) {
      Fail(c, "wrong reply at its byte " + std::to_string(c->check.at()) + " of " +
                  std::to_string(message_->reply_bytes()) + ": " +
                  Shown(all.substr(all.size() - bytes.size())));
      return false;
    }
    if (outcome == ReplyCheck::Outcome::kWhole && !Finish(c, now)) return false;
    if (outcome == ReplyCheck::Outcome::kPing) c->out += MuxMessage(kRping, c->check.ids().tag, {});
  }
  return true;
}

// Which call it is that has a reply; false: none.
bool LoadThread::SlotOfReply(Connection* c, uint32_t* slot) {
  const auto& [seqid, tag, trace] = c->check.ids();
  const bool mux = message_->dialect() == Dialect::kMux;
  *slot = mux ? tag - kMuxFirstTag : seqid & ((1u << slot_bits_) - 1);
  const bool known = *slot < c->slots.size() && c->slots[*slot].busy;
  if (known && c->slots[*slot].seqid == seqid) return true;
  Fail(c, "a reply with " + (mux ? "tag " + std::to_string(tag) + " and " : "") + "seqid " +
              std::to_string(seqid) + ", which no call has");
  return false;
}

bool LoadThread::Finish(Connection* c, int64_t now) {
  uint32_t i = 0;
  if (!SlotOfReply(c, &i)) return false;
  c->slots[i].busy = false;
  c->free.Give(i);
  calls_.store(calls() + 1, std::memory_order_relaxed);
  if (counting_.load(std::memory_order_relaxed)) {
    latencies_.Record(static_cast<uint64_t>(std::max<int64_t>(0, now - c->slots[i].start)));
  }
  if (options_.rate <= 0) {
    Call(c, now);
  } else if (!c->queued) {
    ready_.push_back(c);
    c->queued = true;
  }
  return true;
}

void LoadThread::Wait() {
  int64_t ns = kLongestWait;
  if (options_.rate > 0 && !ready_.empty()) {
    ns = std::clamp<int64_t>(NextDue() - NowNs(), 0, kLongestWait);
  }
  const timespec wait{0, ns};
  epoll_event events[256];
  const int n = epoll_pwait2(epoll_, events, 256, &wait, nullptr);
  if (n < 0 && errno != EINTR) DieOfErrno("epoll_pwait2");
  for (int i = 0; i < n; i++) Serve(static_cast<Connection*>(events[i].data.ptr), events[i].events);
}

int64_t LoadThread::NextDue() const {
  return begin_ + static_cast<int64_t>(static_cast<double>(sent_) * 1e9 / options_.rate);
}

void LoadThread::CallWhatIsDue() {
  const int64_t now = NowNs();
  while (!ready_.empty() && NextDue() <= now) {
    Connection* c = ready_.front();
    ready_.pop_front();
    c->queued = false;
    if (c->fd < 0) continue;
    Call(c, NextDue());
    ++sent_;
    if (!c->free.empty()) {
      ready_.push_back(c);
      c->queued = true;
    }
    Flush(c);
  }
}

}  // namespace trestle::bench
