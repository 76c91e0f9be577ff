// Serverset: one znode whose children may be members, read and watched for all who use its path:
// the list of its children with one watch, and each member and vector with another.
//
// Changes that come fast are taken together. What was read stays while ZooKeeper is away; a child
// that cannot be read or makes no sense is left out, with a reason, and nothing else is. A znode
// that vanishes with its members is taken for a fault first: what it had is served on for a while.
// While ZooKeeper was not asked yet and is away, what a cache on disk has is taken. While some of
// its members are not read yet, none is let go of.
//
// Lifetime: held by shared_ptr; the last pointer takes its watches along. Threading: the control
// loop. Errors: see state().
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "naming/inet.h"
#include "naming/resolved_set.h"
#include "naming/serverset.h"
#include "naming/var.h"
#include "net/event_loop.h"
#include "serversets/retention.h"
#include "serversets/set_cache.h"
#include "serversets/zk_session.h"

namespace trestle::serversets {

class ServersetView;

struct ServersetMetrics {
  explicit ServersetMetrics(base::Scope* scope);
  base::Gauge* sets;
  base::Gauge* members;  // znodes that are members or vectors
  base::Gauge* left_out;
  base::Gauge* unresolved;   // hosts
  base::Counter* changes;    // of lists and of members, as ZooKeeper counts them
  base::Counter* coalesced;  // that were read together with another one
};

// What sets had, by path.
using ServersetHistory = std::map<std::string, std::vector<naming::ServersetNode>>;

// What all sets of one cluster in one namer share.
struct ServersetPlace {
  net::EventLoop* loop;
  naming::InetResolver* inet;
  ZkSession* session;
  Retention::Options retention;
  ServersetMetrics metrics;
  SetCache* cache = nullptr;  // may be null
  // Of the namer that this one replaces; may be null.
  std::shared_ptr<const ServersetHistory> before = nullptr;
};

// Changes (as a Source) when the znode comes or goes.
class Serverset final : public naming::Source, public std::enable_shared_from_this<Serverset> {
 public:
  enum class State {
    kUnknown,  // not read yet
    kMissing,  // there is no such znode. It is not watched: whoever needs it watches its parent
    kThere,    // there, or was a moment ago
    kFailed,   // it never could be read: see why()
  };
  // Changes of one set are read at most so often.
  static constexpr base::Duration kCoalesce = std::chrono::milliseconds(50);
  // What is read again, as under a new session, is told at most so often while more is on its way;
  // and what was read is told after so long whatever is on its way.
  static constexpr base::Duration kGather = std::chrono::milliseconds(20);
  static constexpr base::Duration kPatience = std::chrono::milliseconds(100);
  static constexpr base::Duration kFirstPatience = std::chrono::seconds(1);
  static constexpr base::Duration kCachedPatience = std::chrono::seconds(10);
  // Further members are left out.
  static constexpr size_t kMostMembers = 20'000;
  static constexpr size_t kMostVectors = 1'000;

  Serverset(const ServersetPlace* place, std::string path);
  ~Serverset() override;

  // Reads it: at first, or when it is missing and its parent says that it is not.
  void Read();
  State state() const { return state_; }
  const std::string& why() const { return why_; }
  const std::string& path() const { return path_; }
  // Its list of children is known, and watched unless ZooKeeper is away.
  bool has_list() const { return state_ == State::kThere && !list_gone_ && !cached_; }
  bool HasChild(const std::string& name) const { return children_.contains(name); }
  // Changes when that child comes, or when the set goes.
  std::shared_ptr<naming::Source> Awaits(const std::string& child);
  // The live address of an endpoint and a shard.
  std::shared_ptr<ServersetView> View(const std::optional<std::string>& endpoint,
                                      std::optional<int32_t> shard);

  // Calls `each(entry, weight)` for all that its members give, or gave before they became junk.
  enum class Which { kNow, kLastGood };
  template <class F>
  void ForEachEntry(Which which, F each) const {
    for (const auto& [name, member] : known()) {
      if (which == Which::kNow && !member.why.empty()) continue;
      for (const auto& entry : member.entries) each(entry, weights_.Of(entry));
    }
  }
  // Children that are no use as a member, and why.
  const std::map<std::string, std::string>& left_out() const { return left_out_; }
  Retention::Set standing() const;
  // Members that were not read yet.
  size_t unread() const { return unread_; }
  // It is served as a cache had it.
  bool cached() const { return cached_.has_value(); }
  // Since when, by the wall, what is served may not be what is there, and why.
  struct Stale {
    std::chrono::system_clock::time_point since;
    std::string why;
  };
  std::optional<Stale> stale() const;
  // Znodes that are watched: the list, and members.
  bool list_watched() const { return list_->watched(); }
  size_t members_watched() const;
  // Those in use.
  std::vector<std::shared_ptr<ServersetView>> views() const;
  // What its members were when they were good last.
  std::vector<naming::ServersetNode> Good() const;
  // The connection was lost or found.
  void OnSession();

 private:
  struct Member {
    std::unique_ptr<ZkSession::Watched> watch;
    bool read = false;
    std::string data;  // the last that made sense
    std::vector<naming::ServersetEntry> entries;
    std::string why;  // it is no use
  };
  class Awaited;

  // Those that count: as the cache has them while that is served.
  const std::map<std::string, Member>& known() const {
    return cached_ ? cached_members_ : members_;
  }
  bool LoadCached();
  std::optional<SetCache::Saved> FindSaved();
  void DropCached();
  void SaveCached();
  void OnChildren(ZkAnswer answer);
  void OnMissing();
  void SetMissing();
  bool held() const;
  void TakeChildren(std::vector<std::string> names);
  void OnMember(const std::string& name, ZkAnswer answer);
  static void Parse(const std::string& name, std::string data, Member* member);
  void ReadSoon();
  void ReadNow();
  bool reading() const;
  void Publish();
  void PublishThere();
  void TellBy(base::Duration after);
  void Settle(bool gather);
  void RetrySoon(const std::string& name);
  void SetState(State state, const std::string& why);

  const ServersetPlace* place_;
  const std::string path_;
  std::unique_ptr<ZkSession::Watched> list_;
  State state_ = State::kUnknown;
  std::string why_;
  std::set<std::string> children_;
  std::map<std::string, Member> members_;
  size_t not_followed_ = 0;        // members over kMostMembers
  size_t unread_ = 0;              // members whose data was never read
  std::set<std::string> changed_;  // members to be read again
  std::set<std::string> round_;    // those that are on their way
  bool list_changed_ = false;
  int64_t seen_changes_ = 0;
  base::TimePoint read_at_{};
  bool list_gone_ = false;                   // the znode is not there, and held
  std::optional<base::TimePoint> gone_at_;   // when that began last
  std::vector<naming::ServersetNode> gone_;  // what it had
  base::TimePoint emptied_{};                // when its last member left
  std::optional<SetCache::Saved> cached_;    // its nodes are cached_members_
  std::string cached_why_;
  net::Timer again_;
  base::Duration published_in_{};
  std::map<std::string, Member> cached_members_;  // while cached_
  naming::ServersetWeights weights_;
  bool weights_changed_ = false;
  net::Timer publish_, save_;
  base::TimePoint publish_at_{};
  // Members that could not be read: asked again after a growing pause; and those that were not
  // there though the list has them, after the list.
  std::set<std::string> unreadable_, vanished_members_;
  base::Duration retry_wait_{};
  net::Timer retry_;
  std::map<std::string, std::string> left_out_;
  std::map<std::string, std::weak_ptr<Awaited>> awaited_;
  std::map<std::pair<std::optional<std::string>, std::optional<int32_t>>,
           std::weak_ptr<ServersetView>>
      views_;
};

// The address of one endpoint and shard of a set. Changes (as a Source) when its kind does.
class ServersetView final : public naming::Source,
                            public std::enable_shared_from_this<ServersetView> {
 public:
  ServersetView(std::shared_ptr<Serverset> set, const ServersetPlace* place,
                std::optional<std::string> endpoint, std::optional<int32_t> shard);
  ~ServersetView() override;
  // The set changed.
  void Update();
  std::shared_ptr<naming::Var<naming::Addr>> addr() { return {shared_from_this(), &addr_}; }
  const naming::Addr& value() const { return addr_.Get(); }
  const std::optional<std::string>& endpoint() const { return endpoint_; }
  std::optional<int32_t> shard() const { return shard_; }
  size_t held() const { return retention_.held(); }
  std::map<std::string, std::string> Unresolved() const { return resolved_.Unresolved(); }

 private:
  std::vector<naming::Endpoint> Picked(Serverset::Which which) const;
  naming::Addr Resolve(std::string* cause) const;
  naming::Addr Serve();
  void Publish();

  const std::shared_ptr<Serverset> set_;
  const ServersetPlace* place_;
  const std::optional<std::string> endpoint_;
  const std::optional<int32_t> shard_;
  Retention retention_;
  net::Timer again_;
  naming::ResolvedSet resolved_;
  std::string stale_;  // why what is served is not what is there
  int64_t unresolved_ = 0;
  naming::Var<naming::Addr> addr_;
};

}  // namespace trestle::serversets
