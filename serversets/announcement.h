// Announcement: one member of a set that is ours: made in ZooKeeper, kept there, taken away.
//
// The znode is ephemeral, so it is made again under every new session, and when somebody deletes
// it. Whether a Create whose answer was lost was done is found out before another one is asked, so
// that a session has one member. What ZooKeeper refuses is logged and tried again, after 1 to 10
// seconds.
//
// Lifetime: goes before its session; a znode that was not taken away then goes with that.
// Threading: the control loop. Errors: in the log.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "naming/var.h"
#include "net/event_loop.h"
#include "serversets/zk_session.h"

namespace trestle::serversets {

class Announcement {
 public:
  struct Member {
    std::string set;   // the znode of the set: "/discovery/users"
    std::string data;  // JSON; no other Announcement of the session has it in this set
    friend auto operator<=>(const Member&, const Member&) = default;
  };
  // The session has no other user that watches the members of the set. `there` counts those that
  // are known to be there.
  Announcement(net::EventLoop* loop, ZkSession* session, Member member, base::Gauge* there);
  ~Announcement();
  Announcement(const Announcement&) = delete;
  Announcement& operator=(const Announcement&) = delete;

  const Member& member() const { return member_; }
  // Takes the member away, now or as soon as there is a connection again. `answered` is called
  // once: when it is gone, or when that cannot be told now. Perhaps at once.
  void Leave(std::function<void()> answered);
  // After Leave: it is to be there again.
  void Return();
  // There is nothing more to take away.
  bool gone() const { return leaving_ && !busy_ && path_.empty() && !maybe_made_by_; }

 private:
  struct Search;

  void OnSession();
  void Step();
  // One question at a time: its answer, unless the connection was another one meanwhile.
  ZkClient::Call Ask(std::function<void(ZkAnswer)> answered);
  void Create();
  void CreateParent(size_t depth, size_t steps);
  void Find();
  void FindNext(const std::shared_ptr<Search>& search);
  void Found(const std::string& path);
  void OnRead(const ZkAnswer& answer);
  void OnOther(const ZkAnswer& answer);
  void OnChanged();
  void Delete();
  void Forget();
  void SetThere(bool there);
  void Failed(const std::string& what, const ZkAnswer& answer);
  void Pause(base::Duration least);
  void Answered();

  net::EventLoop* loop_;
  ZkSession* session_;
  const Member member_;
  base::Gauge* count_;
  bool there_ = false;                    // as the connection that there is says
  std::string path_;                      // of the znode, once it is known
  int64_t made_by_ = 0;                   // the session that it goes with
  std::string leftover_;                  // of our session before, if that is not over
  std::optional<int64_t> maybe_made_by_;  // a session that was asked for one, without an answer
  std::unique_ptr<ZkSession::Watched> watched_;
  bool busy_ = false;
  uint64_t asked_ = 0;  // which question is out
  bool leaving_ = false;
  std::function<void()> answered_;
  base::TimePoint made_at_{};
  base::Duration wait_{};  // before the next try
  std::string told_;       // what failed last
  net::Timer retry_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  naming::Subscription subscription_;
};

}  // namespace trestle::serversets
