#include "serversets/zk_session.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>

namespace trestle::serversets {
namespace {

// So that ZooKeeper is noticed soon when it is back.
constexpr base::Duration kFirstWait = std::chrono::milliseconds(250);
constexpr base::Duration kLongestWait = std::chrono::seconds(1);
// A connection that held for so long was a good one; after so many that did not another session is
// begun, since the library itself connects again without a pause.
constexpr base::Duration kSettled = std::chrono::seconds(5);
constexpr int kMostQuickLosses = 3;
// After questions that were lost on a connection that holds.
constexpr base::Duration kAskAgain = std::chrono::milliseconds(100);
// How often the same is told in the log.
constexpr base::Duration kTellAgain = std::chrono::minutes(1);
// How many lines of connections that come and go there are in a minute.
constexpr size_t kMostLines = 10;
// How often the time without ZooKeeper is shown.
constexpr base::Duration kShowLost = std::chrono::seconds(1);

}  // namespace

ZkMetrics::ZkMetrics(base::Scope* scope)
    : sessions(scope->counter("sessions")),
      lost(scope->counter("lost_connections")),
      reads(scope->counter("reads")),
      connected(scope->gauge("connected")),
      watches(scope->gauge("watches")),
      stale_s(scope->gauge("stale_s", base::Merge::kMost)) {}

ZkSession::ZkSession(net::EventLoop* loop, Options options, ZkConnect connect,
                     const ZkMetrics& metrics)
    : loop_(loop),
      options_(std::move(options)),
      connect_(std::move(connect)),
      metrics_(metrics),
      lost_since_(loop->Now()),
      why_("not connected yet"),
      retry_(loop, [this] { Connect(); }),
      patience_(loop, [this] { Replace("no connection"); }),
      show_lost_(loop, [this] { ShowLost(); }),
      ask_again_(loop, [this] { Pump(); }) {
  if (options_.at_once) Start();
  ShowLost();
}

ZkSession::~ZkSession() {
  Drop();
  metrics_.stale_s->Set(0);
}

// --- clients ---

void ZkSession::Start() {
  if (!std::exchange(started_, true)) Connect();
}

void ZkSession::Connect() { client_ = connect_(this); }

// With the client go its watches and all that was asked.
void ZkSession::Drop() {
  client_.reset();
  if (connected_) metrics_.connected->Add(-1);
  connected_ = false;
  asked_ = 0;
  unwatching_ = 0;
  to_unwatch_.clear();
  for (const Key& key : std::exchange(left_, {})) CountWatch(key, false);
  for (auto& [key, node] : nodes_) {
    if (node->asked_ || node->watched_) Queue(node);
    node->asked_ = false;
    SetWatched(node, false);
  }
}

void ZkSession::Replace(const std::string& why) {
  const base::TimePoint now = loop_->Now();
  if (why != told_ || now >= tell_at_) {
    LOG(WARNING) << "ZooKeeper " << options_.shown << ": " << why << "; another session is begun";
    told_ = why;
    tell_at_ = now + kTellAgain;
  }
  Drop();
  patience_.Cancel();
  retry_.Arm(wait_);
  wait_ = std::clamp(2 * wait_, kFirstWait, kLongestWait);
}

void ZkSession::OnState(ZkClient::State state, const std::string& why) {
  switch (state) {
    case ZkClient::State::kConnected:
      why_ = why;
      if (connected_) return;
      // Whoever answers gave no session: it is no ZooKeeper.
      if (client_->session() == 0) return Replace("no session was given");
      LOG_IF(INFO, MayTell()) << "ZooKeeper " << options_.shown << ": connected"
                              << (why.empty() ? "" : ", ") << why;
      connected_ = true;
      connected_at_ = loop_->Now();
      ask_again_.Cancel();
      lost_since_.reset();
      ShowLost();
      patience_.Cancel();
      if (std::exchange(last_session_, client_->session()) != client_->session()) {
        metrics_.sessions->Add();
      }
      metrics_.connected->Add(1);
      to_unwatch_.assign(left_.begin(), left_.end());
      Pump();
      return NotifyAll();
    case ZkClient::State::kOpened:
      if (!connected_ && !patience_.armed()) patience_.Arm(options_.patience);
      return;
    case ZkClient::State::kConnecting:
      return Lost(why);
    case ZkClient::State::kOver:
      Lost(why);
      why_ = why;
      if (client_) Replace(why);
      return;
  }
}

void ZkSession::Lost(const std::string& why) {
  if (!connected_) return;
  const base::TimePoint now = loop_->Now();
  LOG_IF(WARNING, MayTell()) << "ZooKeeper " << options_.shown << ": " << why
                             << "; what was read last is used until it is back";
  const bool settled = now - connected_at_ >= kSettled;
  if (settled) wait_ = {};
  quick_losses_ = settled ? 0 : quick_losses_ + 1;
  connected_ = false;
  lost_since_ = now;
  ShowLost();
  why_ = why;
  metrics_.connected->Add(-1);
  metrics_.lost->Add();
  if (watched_bytes_ > options_.max_resumed_bytes) {
    Replace("too many watches to be taken up again");
  } else if (quick_losses_ >= kMostQuickLosses) {
    Replace("its connections do not last");
  } else {
    patience_.Arm(options_.patience);
  }
  NotifyAll();
}

// A connection that comes and goes all the time is in the metrics.
bool ZkSession::MayTell() {
  const base::TimePoint now = loop_->Now();
  if (now >= lines_until_) {
    LOG_IF(WARNING, lines_ > kMostLines) << "ZooKeeper " << options_.shown << ": "
                                         << lines_ - kMostLines << " lines more were left out";
    lines_ = 0;
    lines_until_ = now + kTellAgain;
  }
  return ++lines_ <= kMostLines;
}

void ZkSession::ShowLost() {
  const base::Duration lost = lost_since_ ? loop_->Now() - *lost_since_ : base::Duration{};
  metrics_.stale_s->Set(std::chrono::duration_cast<std::chrono::seconds>(lost).count());
  if (lost_since_) {
    show_lost_.Arm(kShowLost);
  } else {
    show_lost_.Cancel();
  }
}

// --- znodes ---

void ZkSession::OnEvent(ZkClient::Event event, const std::string& path) {
  for (const Kind kind : {Kind::kChildren, Kind::kData}) {
    const bool of_other = event != ZkClient::Event::kDeleted &&
                          (event == ZkClient::Event::kChildren) != (kind == Kind::kChildren);
    if (of_other) continue;
    ForgetLeft({kind, path});
    const auto at = nodes_.find({kind, path});
    if (at == nodes_.end() || !at->second->watched_) continue;
    SetWatched(at->second, false);
    auto changed = at->second->changed_;  // which may destroy it
    changed();
  }
}

void ZkSession::SetWatched(Watched* node, bool watched) {
  if (watched) ForgetLeft(node->key_);  // it is this one again
  if (std::exchange(node->watched_, watched) != watched) CountWatch(node->key_, watched);
}

void ZkSession::CountWatch(const Key& key, bool there) {
  metrics_.watches->Add(there ? 1 : -1);
  const size_t bytes = key.second.size() + 4;
  watched_bytes_ = there ? watched_bytes_ + bytes : watched_bytes_ - bytes;
}

void ZkSession::Queue(Watched* node) {
  if (std::exchange(node->queued_, true)) return;
  queue_.push_back(node);
}

void ZkSession::Pump() {
  while (connected_ && unwatching_ < options_.max_asked && !to_unwatch_.empty()) {
    const Key key = std::move(to_unwatch_.front());
    to_unwatch_.pop_front();
    Unwatch(key);
  }
  while (connected_ && !ask_again_.armed() && asked_ < options_.max_asked && !queue_.empty()) {
    Watched* node = queue_.front();
    queue_.pop_front();
    node->queued_ = false;
    Ask(node);
  }
}

void ZkSession::Ask(Watched* node) {
  node->asked_ = true;
  ++asked_;
  metrics_.reads->Add();
  auto call = [this, key = node->key_, id = node->id_](ZkAnswer answer) {
    OnAnswer(key, id, std::move(answer));
  };
  if (node->key_.first == Kind::kChildren) {
    client_->Children(node->path(), std::move(call));
  } else {
    client_->Data(node->path(), std::move(call));
  }
}

void ZkSession::OnAnswer(const Key& key, uint64_t id, ZkAnswer answer) {
  --asked_;
  const auto at = nodes_.find(key);
  if (at == nodes_.end() || at->second->id_ != id) {
    if (answer.ok()) OnWatchLeft(key);  // its user is gone
  } else {
    Watched* node = at->second;
    node->asked_ = false;
    if (!answer.ok() && left_.contains(key)) to_unwatch_.push_back(key);
    if (answer.code == ZkAnswer::Code::kLost) {
      Queue(node);
      if (connected_ && !ask_again_.armed()) ask_again_.Arm(kAskAgain);
    } else {
      SetWatched(node, answer.ok());
      auto answered = node->answered_;  // which may destroy it
      answered(std::move(answer));
    }
  }
  Pump();
}

// There is a watch that nobody wants.
void ZkSession::OnWatchLeft(const Key& key) {
  const auto at = nodes_.find(key);
  if (at != nodes_.end() && at->second->watched_) return;  // somebody else's by now
  if (!left_.insert(key).second) return;
  CountWatch(key, true);
  to_unwatch_.push_back(key);
  Pump();
}

void ZkSession::ForgetLeft(const Key& key) {
  if (left_.erase(key) > 0) CountWatch(key, false);
}

void ZkSession::Unwatch(const Key& key) {
  if (!left_.contains(key)) return;
  // One that is being read again keeps the watch, or it is taken away after that.
  if (const auto at = nodes_.find(key); at != nodes_.end() && at->second->asked_) return;
  ++unwatching_;
  auto call = [this, key](const ZkAnswer& answer) { OnUnwatched(key, answer); };
  if (key.first == Kind::kChildren) {
    client_->UnwatchChildren(key.second, std::move(call));
  } else {
    client_->UnwatchData(key.second, std::move(call));
  }
}

void ZkSession::OnUnwatched(const Key& key, const ZkAnswer& answer) {
  --unwatching_;
  if (answer.ok()) {
    ForgetLeft(key);
  } else if (answer.code == ZkAnswer::Code::kLost && left_.contains(key)) {
    to_unwatch_.push_back(key);  // else with the next connection
  }
  Pump();
}

void ZkSession::Forget(Watched* node) {
  nodes_.erase(node->key_);
  if (node->queued_) std::erase(queue_, node);
  if (!node->watched_) return;
  SetWatched(node, false);
  OnWatchLeft(node->key_);
}

ZkSession::Watched::Watched(ZkSession* session, Kind kind, std::string path,
                            std::function<void(ZkAnswer)> answered, std::function<void()> changed)
    : session_(session),
      key_(kind, std::move(path)),
      id_(++session->last_id_),
      answered_(std::move(answered)),
      changed_(std::move(changed)) {
  session_->nodes_[key_] = this;
}

ZkSession::Watched::~Watched() { session_->Forget(this); }

void ZkSession::Watched::Read() {
  if (reading()) return;
  session_->Queue(this);
  session_->Pump();
}

}  // namespace trestle::serversets
