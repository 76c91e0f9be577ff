#include "serversets/announcement.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>

namespace trestle::serversets {
namespace {

using Code = ZkAnswer::Code;

constexpr base::Duration kFirstWait = std::chrono::seconds(1);
constexpr base::Duration kLongestWait = std::chrono::seconds(10);
constexpr std::string_view kMember = "member_";
constexpr size_t kReadAtOnce = 64;

// The first `depth` znodes of a path.
std::string Head(const std::string& path, size_t depth) {
  size_t end = 0;
  for (size_t i = 0; i < depth && end != std::string::npos; i++) end = path.find('/', end + 1);
  return path.substr(0, end);
}

size_t Depth(const std::string& path) {
  return static_cast<size_t>(std::count(path.begin(), path.end(), '/'));
}

}  // namespace

// The members of the set, the newest first, of which one may be ours.
struct Announcement::Search {
  std::vector<std::string> paths;
  size_t next = 0;
  size_t reading = 0;
  bool lost = false;
  std::string found;
};

Announcement::Announcement(net::EventLoop* loop, ZkSession* session, Member member,
                           base::Gauge* there)
    : loop_(loop),
      session_(session),
      member_(std::move(member)),
      count_(there),
      retry_(loop, [this] { Step(); }),
      subscription_(session->Subscribe([this] { OnSession(); })) {
  Step();
}

Announcement::~Announcement() { SetThere(false); }

void Announcement::Leave(std::function<void()> answered) {
  leaving_ = true;
  answered_ = std::move(answered);
  if (!session_->connected()) return Answered();
  retry_.Cancel();
  Step();
}

void Announcement::Return() {
  leaving_ = false;
  Answered();
  Step();
}

void Announcement::OnSession() {
  if (!session_->connected()) {
    SetThere(false);
    return Answered();
  }
  // What was asked before is not answered any more, or not to be trusted.
  busy_ = false;
  ++asked_;
  retry_.Cancel();
  Step();
}

// What is next; there is nothing out.
void Announcement::Step() {
  ZkClient* client = session_->client();
  if (!client || busy_ || retry_.armed()) return;
  // A session that is over takes what it made with it.
  if (maybe_made_by_ && *maybe_made_by_ != client->session()) maybe_made_by_.reset();
  if (!path_.empty()) {
    if (!there_) return watched_->Read();
    if (leaving_) Delete();
    return;
  }
  if (maybe_made_by_) return Find();
  if (!leaving_) return Create();
  Answered();
}

ZkClient::Call Announcement::Ask(std::function<void(ZkAnswer)> answered) {
  busy_ = true;
  return [this, alive = std::weak_ptr<bool>(alive_), id = ++asked_,
          answered = std::move(answered)](ZkAnswer answer) {
    if (!alive.lock() || id != asked_) return;
    busy_ = false;
    answered(std::move(answer));
  };
}

// --- it is made ---

void Announcement::Create() {
  ZkClient* client = session_->client();
  maybe_made_by_ = client->session();
  client->Create(member_.set + "/" + std::string(kMember), member_.data, true,
                 Ask([this](const ZkAnswer& answer) {
                   if (answer.ok()) return Found(answer.data);
                   if (answer.code == Code::kLost) return Pause(kFirstWait);
                   maybe_made_by_.reset();
                   if (answer.code != Code::kNoNode) return Failed("cannot be made", answer);
                   if (leaving_) return Step();
                   const size_t depth = Depth(member_.set);
                   CreateParent(depth, 2 * depth);
                 }));
}

// From the set upwards, so that nothing is asked of znodes above that are there: they may be
// somebody else's.
void Announcement::CreateParent(size_t depth, size_t steps) {
  const std::string path = Head(member_.set, depth);
  session_->client()->Create(
      path, "", false, Ask([this, path, depth, steps](const ZkAnswer& answer) {
        const bool is_there = answer.ok() || answer.code == Code::kNodeExists;
        if (leaving_ || (is_there && path == member_.set)) return Step();
        if (is_there && steps > 0) return CreateParent(depth + 1, steps - 1);
        if (answer.code == Code::kNoNode && depth > 1 && steps > 0) {
          return CreateParent(depth - 1, steps - 1);
        }
        if (answer.code == Code::kLost) return Pause(kFirstWait);
        Failed("cannot be made: " + path, answer);
      }));
}

void Announcement::Found(const std::string& path) {
  maybe_made_by_.reset();
  told_.clear();
  path_ = path;
  made_by_ = session_->client()->session();
  made_at_ = loop_->Now();
  LOG(INFO) << "announced at " << path << ": " << member_.data;
  SetThere(true);
  watched_ = std::make_unique<ZkSession::Watched>(
      session_, ZkSession::Kind::kData, path, [this](const ZkAnswer& answer) { OnRead(answer); },
      [this] { OnChanged(); });
  watched_->Read();
  if (!leftover_.empty())
    session_->client()->Delete(std::exchange(leftover_, {}), [](const ZkAnswer&) {});
  Step();
}

// --- it may have been made ---

void Announcement::Find() {
  session_->client()->ChildrenOnce(member_.set, Ask([this](const ZkAnswer& answer) {
                                     if (answer.code == Code::kLost) return Pause(kFirstWait);
                                     if (!answer.ok() && answer.code != Code::kNoNode)
                                       return Failed("cannot be looked for", answer);
                                     auto search = std::make_shared<Search>();
                                     for (const std::string& name : answer.children) {
                                       if (name.starts_with(kMember))
                                         search->paths.push_back(member_.set + "/" + name);
                                     }
                                     std::sort(search->paths.begin(), search->paths.end(),
                                               std::greater<>());
                                     FindNext(search);
                                   }));
}

void Announcement::FindNext(const std::shared_ptr<Search>& search) {
  const size_t end = std::min(search->paths.size(), search->next + kReadAtOnce);
  if (search->next == end) {  // none is
    maybe_made_by_.reset();
    return Step();
  }
  search->reading = end - search->next;
  ZkClient* client = session_->client();
  const int64_t session = client->session();
  const ZkClient::Call all = Ask([this, search](const ZkAnswer&) {
    if (!search->found.empty()) return Found(search->found);
    if (search->lost) return Pause(kFirstWait);
    FindNext(search);
  });
  while (search->next < end) {
    const std::string& path = search->paths[search->next++];
    client->DataOnce(path, [search, session, path, all, data = member_.data](ZkAnswer answer) {
      if (answer.ok() && answer.owner == session && answer.data == data) search->found = path;
      search->lost |= answer.code == Code::kLost;  // else one that we cannot read is not ours
      if (--search->reading == 0) all(std::move(answer));
    });
  }
}

// --- it is looked after ---

void Announcement::OnChanged() {
  if (!busy_) watched_->Read();  // else it is ours to delete it
}

void Announcement::OnRead(const ZkAnswer& answer) {
  ZkClient* client = session_->client();
  if (!client || busy_) return;  // asked again with the next connection; about to be deleted
  if (answer.ok() && answer.owner == client->session() && answer.owner == made_by_) {
    LOG_IF(WARNING, there_ && answer.data != member_.data)
        << path_ << ": somebody changed what is announced; it stays so for this session";
    told_.clear();
    SetThere(true);
    return Step();
  }
  if (answer.ok() || answer.code == Code::kNoNode) return OnOther(answer);
  Failed(path_ + " cannot be read", answer);
}

// The znode is not there, or not of this session.
void Announcement::OnOther(const ZkAnswer& answer) {
  ZkClient* client = session_->client();
  const bool is_ours_of_before =
      answer.ok() && answer.owner == made_by_ && answer.data == member_.data;
  const bool was_deleted = made_by_ == client->session();
  if (is_ours_of_before && leaving_) return Delete();
  if (is_ours_of_before) leftover_ = path_;
  LOG_IF(WARNING, was_deleted && !leaving_)
      << path_ << ": somebody deleted what is announced; it is made again";
  Forget();
  if (!was_deleted || leaving_) return Step();
  if (loop_->Now() - made_at_ >= kLongestWait) wait_ = {};
  Pause({});
}

void Announcement::Delete() {
  session_->client()->Delete(path_, Ask([this](const ZkAnswer& answer) {
                               if (answer.code == Code::kLost) {
                                 SetThere(false);
                                 return Answered();  // and again with the next connection
                               }
                               if (answer.ok() || answer.code == Code::kNoNode) {
                                 LOG(INFO) << "not announced any more: " << path_;
                               } else {
                                 LOG(WARNING) << path_ << " cannot be deleted: " << answer.why
                                              << "; it goes with the session";
                               }
                               Forget();
                               Step();
                             }));
}

void Announcement::Forget() {
  SetThere(false);
  watched_.reset();
  path_.clear();
}

void Announcement::SetThere(bool there) {
  if (std::exchange(there_, there) != there) count_->Add(there ? 1 : -1);
}

void Announcement::Failed(const std::string& what, const ZkAnswer& answer) {
  const std::string why = what + ": " + answer.why;
  LOG_IF(WARNING, why != told_) << "announcing at " << member_.set << ": " << why
                                << "; it is tried again";
  told_ = why;
  if (leaving_) Answered();
  Pause(kFirstWait);
}

void Announcement::Pause(base::Duration least) {
  wait_ = std::max(wait_, least);
  retry_.Arm(wait_);
  wait_ = std::clamp(2 * wait_, kFirstWait, kLongestWait);
}

void Announcement::Answered() {
  if (auto answered = std::exchange(answered_, nullptr)) answered();
}

}  // namespace trestle::serversets
