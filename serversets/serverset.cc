#include "serversets/serverset.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>

#include "naming/literal.h"

namespace trestle::serversets {
namespace {

using naming::ServersetNode;
using Kind = ZkSession::Kind;

// How soon a znode that vanished is looked at again.
constexpr base::Duration kLookAgain = std::chrono::milliseconds(100);
// And one that could not be read, or that nobody else watches for.
constexpr base::Duration kTryAgain = std::chrono::seconds(1);
constexpr base::Duration kLongestTryAgain = std::chrono::seconds(30);
// A member is a small JSON text.
constexpr size_t kMostMemberBytes = 64 * 1024;

// A set that changes all the time is saved so often.
constexpr base::Duration kSaveAgain = std::chrono::seconds(1);
// Of the control loop's time one set gets no more than a tenth, however large it is.
constexpr int kOtherWork = 9;

bool IsVector(const std::string& name) { return name.starts_with("vector_"); }
bool IsMember(const std::string& name) { return name.starts_with("member_") || IsVector(name); }

// Entries that lead to no machine; gives why one of them does not.
std::string DropUnusable(std::vector<naming::ServersetEntry>* entries) {
  std::string why;
  std::erase_if(*entries, [&why](const naming::ServersetEntry& entry) {
    if (entry.port < 1 || entry.port > 65535) {
      why = "port is not 1 to 65535";
      return true;
    }
    const auto ip = naming::LiteralIp(entry.host);
    const bool nobody = entry.host.empty() || (ip && (*ip == "0.0.0.0" || *ip == "::"));
    if (nobody) why = "host is no machine's: \"" + entry.host + "\"";
    return nobody;
  });
  return why;
}

}  // namespace

ServersetMetrics::ServersetMetrics(base::Scope* scope)
    : sets(scope->gauge("sets")),
      members(scope->gauge("members")),
      left_out(scope->gauge("left_out")),
      unresolved(scope->gauge("unresolved")),
      changes(scope->counter("changes")),
      coalesced(scope->counter("coalesced")) {}

// Whoever waits for a child.
class Serverset::Awaited final : public naming::Source {
 public:
  void Tell() { NotifyAll(); }
};

Serverset::Serverset(const ServersetPlace* place, std::string path)
    : place_(place),
      path_(std::move(path)),
      list_(std::make_unique<ZkSession::Watched>(
          place->session, Kind::kChildren, path_,
          [this](ZkAnswer answer) { OnChildren(std::move(answer)); },
          [this] {
            list_changed_ = true;
            ReadSoon();
          })),
      again_(place->loop, [this] { ReadNow(); }),
      publish_(place->loop, [this] { PublishThere(); }),
      save_(place->loop, [this] { SaveCached(); }),
      retry_(place->loop, [this] {
        changed_.insert(unreadable_.begin(), unreadable_.end());
        ReadSoon();
      }) {
  place_->metrics.sets->Add(1);
}

Serverset::~Serverset() {
  if (save_.armed()) SaveCached();
  place_->metrics.sets->Add(-1);
  place_->metrics.members->Add(-static_cast<int64_t>(members_.size()));
  place_->metrics.left_out->Add(-static_cast<int64_t>(left_out_.size()));
}

void Serverset::Read() {
  list_->Read();
  state_ = State::kUnknown;  // its users hear of it with the answer
  LoadCached();
}

// --- the cache ---

std::optional<SetCache::Saved> Serverset::FindSaved() {
  if (place_->before) {
    const auto before = place_->before->find(path_);
    if (before != place_->before->end()) {
      cached_why_ = "as it was before the configuration was read again";
      return SetCache::Saved{before->second, place_->loop->clock()->Wall()};
    }
  }
  cached_why_ = "read from the cache";
  return place_->cache ? place_->cache->Load(place_->session->hosts(), path_) : std::nullopt;
}

bool Serverset::LoadCached() {
  if (place_->session->connected() || state_ != State::kUnknown) return false;
  cached_ = FindSaved();
  if (!cached_) return false;
  LOG_EVERY_N(WARNING, 100) << "ZooKeeper " << place_->session->hosts()
                            << " is not there yet: " << path_ << " is served " << cached_why_;
  for (ServersetNode& node : cached_->nodes) {
    if (IsMember(node.name)) {
      Parse(node.name, std::move(node.data), &cached_members_[node.name]);
    }
  }
  cached_->nodes.clear();
  weights_changed_ = true;
  state_ = State::kThere;
  Publish();
  return true;
}

void Serverset::DropCached() {
  if (!cached_) return;
  cached_.reset();
  cached_members_.clear();
  weights_changed_ = true;
}

void Serverset::OnSession() {
  const auto self = shared_from_this();
  if (LoadCached()) NotifyAll();
}

// Junk alone leaves the file as it is.
void Serverset::SaveCached() {
  if (!has_list()) return;
  const std::vector<ServersetNode> good = Good();
  if (!good.empty()) {
    place_->cache->Save(place_->session->hosts(), path_, good, place_->loop->clock()->Wall());
  } else if (left_out_.empty()) {
    place_->cache->Remove(place_->session->hosts(), path_);
  }
}

std::vector<ServersetNode> Serverset::Good() const {
  if (list_gone_) return gone_;
  std::vector<ServersetNode> good;
  for (const auto& [name, member] : known()) {
    if (!member.data.empty()) good.push_back({name, member.data});
  }
  return good;
}

// --- reading ---

void Serverset::ReadSoon() {
  if (again_.armed()) return;
  again_.ArmAt(
      std::max(place_->loop->Now(), read_at_ + std::max(kCoalesce, kOtherWork * published_in_)));
}

void Serverset::ReadNow() {
  read_at_ = place_->loop->Now();
  if (std::exchange(list_changed_, false)) list_->Read();
  for (const std::string& name : std::exchange(changed_, {})) {
    const auto member = members_.find(name);
    if (member == members_.end()) continue;
    member->second.watch->Read();
    round_.insert(name);
  }
}

bool Serverset::reading() const { return list_->reading() || unread_ > 0; }

void Serverset::OnChildren(ZkAnswer answer) {
  const auto self = shared_from_this();  // a listener may let go of us
  if (answer.code == ZkAnswer::Code::kNoNode) return OnMissing();
  if (!answer.ok()) {
    // What is known stays, and so does what is cached.
    list_changed_ = true;
    again_.Arm(kTryAgain);
    return state_ == State::kThere ? void(why_ = path_ + ": " + answer.why)
                                   : SetState(State::kFailed, path_ + ": " + answer.why);
  }
  const int64_t changes = answer.changes - seen_changes_;
  if (has_list() && changes > 0) {
    place_->metrics.changes->Add(static_cast<uint64_t>(changes));
    place_->metrics.coalesced->Add(static_cast<uint64_t>(changes - 1));
  }
  seen_changes_ = answer.changes;
  list_gone_ = false;
  TakeChildren(std::move(answer.children));
  Settle(/*gather=*/false);
}

// What it had is served though its znode, or what was in it, is gone.
bool Serverset::held() const {
  return gone_at_ && place_->loop->Now() < *gone_at_ + place_->retention.hold;
}

void Serverset::OnMissing() {
  const base::TimePoint now = place_->loop->Now();
  const bool had_members = !known().empty() || held() || now < emptied_ + Retention::kEmptied;
  if (!list_gone_ && !(state_ == State::kThere && had_members)) return SetMissing();
  if (!list_gone_) {
    gone_at_ = now;
    if (!known().empty()) gone_ = Good();
    list_gone_ = true;
    seen_changes_ = 0;
    publish_.Cancel();
    TakeChildren({});
    DropCached();
    Publish();
  }
  if (held()) {
    list_changed_ = true;
    return again_.Arm(kLookAgain);
  }
  list_gone_ = false;
  SetMissing();
}

void Serverset::SetMissing() {
  if (path_ == "/") {  // it has no parent to tell that it comes
    list_changed_ = true;
    again_.Arm(kTryAgain);
  }
  if (std::exchange(state_, State::kMissing) == State::kMissing) return;
  why_.clear();
  DropCached();
  publish_.Cancel();
  save_.Cancel();
  gone_at_.reset();
  gone_.clear();
  TakeChildren({});
  if (place_->cache) place_->cache->Remove(place_->session->hosts(), path_);
  Publish();
  NotifyAll();
}

void Serverset::TakeChildren(std::vector<std::string> names) {
  std::set<std::string> fresh(std::make_move_iterator(names.begin()),
                              std::make_move_iterator(names.end()));
  const size_t before = members_.size();
  std::erase_if(members_, [&](const auto& member) {
    if (fresh.contains(member.first)) return false;
    if (!member.second.read) --unread_;
    round_.erase(member.first);
    unreadable_.erase(member.first);
    weights_changed_ |= IsVector(member.first);
    return true;
  });
  for (const std::string& name : std::exchange(vanished_members_, {})) {
    const auto again = members_.find(name);  // it is there again
    if (again != members_.end()) again->second.watch->Read();
  }
  not_followed_ = 0;
  size_t vectors = static_cast<size_t>(std::count_if(
      members_.begin(), members_.end(), [](const auto& m) { return IsVector(m.first); }));
  size_t plain = members_.size() - vectors;
  for (const std::string& name : fresh) {
    if (!IsMember(name) || members_.contains(name)) continue;
    size_t& followed = IsVector(name) ? vectors : plain;
    if (followed >= (IsVector(name) ? kMostVectors : kMostMembers)) {
      ++not_followed_;
      continue;
    }
    ++followed;
    Member& member = members_[name];
    member.watch = std::make_unique<ZkSession::Watched>(
        place_->session, Kind::kData, path_ == "/" ? "/" + name : path_ + "/" + name,
        [this, name](ZkAnswer answer) { OnMember(name, std::move(answer)); },
        [this, name] {
          changed_.insert(name);
          ReadSoon();
        });
    ++unread_;
    member.watch->Read();
  }
  if (before > 0 && members_.empty()) emptied_ = place_->loop->Now();
  place_->metrics.members->Add(static_cast<int64_t>(members_.size()) -
                               static_cast<int64_t>(before));
  std::vector<std::shared_ptr<Awaited>> come;
  for (const auto& [child, awaited] : awaited_) {
    if (!fresh.contains(child) || children_.contains(child)) continue;
    if (auto source = awaited.lock()) come.push_back(std::move(source));
  }
  children_ = std::move(fresh);
  for (const auto& source : come) source->Tell();
}

void Serverset::OnMember(const std::string& name, ZkAnswer answer) {
  const auto self = shared_from_this();
  Member& member = members_.at(name);
  const bool first = !std::exchange(member.read, true);
  if (first) {
    --unread_;
    const auto cached = cached_members_.find(name);
    if (cached != cached_members_.end()) {
      member.data = cached->second.data;
      member.entries = cached->second.entries;
    }
  } else {
    place_->metrics.changes->Add(1);
  }
  const bool in_round = round_.erase(name) > 0;
  if (answer.data.size() > kMostMemberBytes) {
    member.why = "over 64 KiB";
  } else if (answer.ok()) {
    Parse(name, std::move(answer.data), &member);
    weights_changed_ |= IsVector(name);
  } else if (member.data.empty()) {
    member.why = answer.why;
  }
  if (answer.code == ZkAnswer::Code::kNoNode) {
    vanished_members_.insert(name);
    list_changed_ = true;
    ReadSoon();
  }
  if (answer.ok()) {
    unreadable_.erase(name);
  } else {
    RetrySoon(name);
  }
  Settle(/*gather=*/!first && !in_round);
}

void Serverset::RetrySoon(const std::string& name) {
  if (unreadable_.empty()) retry_wait_ = kTryAgain;
  unreadable_.insert(name);
  if (retry_.armed()) return;
  retry_.Arm(retry_wait_);
  retry_wait_ = std::min(2 * retry_wait_, kLongestTryAgain);
}

// `gather`: more like it may be on its way.
void Serverset::Settle(bool gather) {
  if (reading() || !round_.empty()) {
    TellBy(cached_ ? kCachedPatience : state_ == State::kThere ? kPatience : kFirstPatience);
  } else if (gather) {
    TellBy(kGather);
  } else {
    PublishThere();
  }
}

void Serverset::Parse(const std::string& name, std::string data, Member* member) {
  naming::ServersetMember parsed;
  if (!IsVector(name)) {
    parsed = naming::ParseServersetMember({name, data});
    const std::string why = DropUnusable(&parsed.entries);
    if (parsed.entries.empty() && parsed.why.empty()) parsed.why = why;
  }
  member->why = std::move(parsed.why);
  if (!member->why.empty()) return;  // what it was before stays
  member->data = std::move(data);
  member->entries = std::move(parsed.entries);
}

// --- telling ---

void Serverset::Publish() {
  const auto self = shared_from_this();
  const auto before = static_cast<int64_t>(left_out_.size());
  const base::TimePoint began = place_->loop->clock()->Now();
  left_out_.clear();
  std::vector<ServersetNode> vectors;
  for (const auto& [name, member] : known()) {
    if (!member.why.empty()) left_out_[name] = member.why;
    if (weights_changed_ && IsVector(name)) vectors.push_back({name, member.data});
  }
  if (not_followed_ > 0) {
    left_out_["…"] = std::to_string(not_followed_) + " more: " + std::to_string(kMostMembers) +
                     " members and " + std::to_string(kMostVectors) + " vectors are followed";
  }
  if (std::exchange(weights_changed_, false)) weights_ = naming::ServersetWeights(vectors);
  if (place_->cache && has_list() && !save_.armed()) save_.Arm(kSaveAgain);
  place_->metrics.left_out->Add(static_cast<int64_t>(left_out_.size()) - before);
  std::erase_if(views_, [](const auto& at) { return at.second.expired(); });
  for (const auto& view : views()) view->Update();
  published_in_ = place_->loop->clock()->Now() - began;
}

void Serverset::TellBy(base::Duration after) {
  const base::TimePoint at = place_->loop->Now() + std::max(after, kOtherWork * published_in_);
  if (publish_.armed() && publish_at_ <= at) return;
  publish_at_ = at;
  publish_.ArmAt(at);
}

void Serverset::PublishThere() {
  const auto self = shared_from_this();
  publish_.Cancel();
  // Nothing is known yet.
  if (state_ != State::kThere && unread_ > 0 && unread_ == members_.size()) {
    return TellBy(kFirstPatience);
  }
  const bool come = state_ != State::kThere || cached_;
  state_ = State::kThere;
  DropCached();
  why_.clear();
  Publish();
  if (come) NotifyAll();
}

void Serverset::SetState(State state, const std::string& why) {
  if (std::exchange(state_, state) == state && why_ == why) return;
  why_ = why;
  NotifyAll();
}

Retention::Set Serverset::standing() const {
  if (held()) return Retention::Set::kUnsure;
  return known().empty() ? Retention::Set::kEmptied : Retention::Set::kThere;
}

std::optional<Serverset::Stale> Serverset::stale() const {
  const auto wall = place_->loop->clock()->Wall();
  auto since = [&](base::TimePoint then) {
    return wall - std::chrono::duration_cast<std::chrono::system_clock::duration>(
                      place_->loop->Now() - then);
  };
  const auto lost = place_->session->lost_since();
  if (cached_) return Stale{cached_->at, cached_why_};
  if (lost) return Stale{since(*lost), place_->session->why()};
  if (list_gone_) return Stale{since(*gone_at_), "the znode vanished"};
  return std::nullopt;
}

size_t Serverset::members_watched() const {
  return static_cast<size_t>(std::count_if(
      members_.begin(), members_.end(), [](const auto& m) { return m.second.watch->watched(); }));
}

std::vector<std::shared_ptr<ServersetView>> Serverset::views() const {
  std::vector<std::shared_ptr<ServersetView>> all;
  for (const auto& [key, known] : views_) {
    if (auto view = known.lock()) all.push_back(std::move(view));
  }
  return all;
}

std::shared_ptr<naming::Source> Serverset::Awaits(const std::string& child) {
  std::erase_if(awaited_, [](const auto& at) { return at.second.expired(); });
  auto source = awaited_[child].lock();
  if (!source) awaited_[child] = source = std::make_shared<Awaited>();
  return source;
}

std::shared_ptr<ServersetView> Serverset::View(const std::optional<std::string>& endpoint,
                                               std::optional<int32_t> shard) {
  auto& at = views_[{endpoint, shard}];
  auto view = at.lock();
  if (!view) {
    view = std::make_shared<ServersetView>(shared_from_this(), place_, endpoint, shard);
    at = view;
    view->Update();
  }
  return view;
}

}  // namespace trestle::serversets
