// ZkSession: the lasting conversation with one cluster. It keeps a ZkClient, makes a new one when a
// session is over or does not come back, and reads and watches the znodes that somebody wants
// watched: each with one watch, read again after a change when its user asks, and by itself under a
// new session.
//
// Questions go out a few hundred at a time, so that thousands of znodes under a new session are no
// burst. A lost connection loses nothing: what was asked is asked again. So it is when a watch is
// to be taken away, which the library would else set again with the connection.
//
// Lifetime: outlives its Watched. Threading: the control loop. Errors: in the answers; kLost never
// reaches a Watched.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/metrics.h"
#include "naming/var.h"
#include "net/event_loop.h"
#include "serversets/zk_client.h"

namespace trestle::serversets {

struct ZkMetrics {
  explicit ZkMetrics(base::Scope* scope);
  base::Counter* sessions;  // that began
  base::Counter* lost;      // connections
  base::Counter* reads;
  base::Gauge* connected;  // 0 or 1
  base::Gauge* watches;    // with those that are to go, until they are gone
  base::Gauge* stale_s;    // for how long it is not connected
};

// Tells its subscribers when it gains or loses the connection, or has a new session.
class ZkSession final : public naming::Source, private ZkClient::Owner {
 public:
  struct Options {
    std::string shown;  // the hosts, for the log
    // Not connected for so long since the client knew the hosts' addresses, or since the connection
    // was lost: another client is made, which looks the hosts up again. One that looks them up is
    // waited for, so that no two do.
    base::Duration patience = std::chrono::seconds(10);
    size_t max_asked = 256;
    bool at_once = true;  // else it does not connect before Start
    // With watches on paths of more bytes than that a session is not taken up again after a lost
    // connection but replaced: the library sets all of them with one message, which a server
    // refuses over 1 MB, again and again.
    size_t max_resumed_bytes = 512 * 1024;
  };
  ZkSession(net::EventLoop* loop, Options options, ZkConnect connect, const ZkMetrics& metrics);
  ~ZkSession() override;

  // Connects. Only the first time counts.
  void Start();
  bool connected() const { return connected_; }
  // Since when it is not connected.
  std::optional<base::TimePoint> lost_since() const { return lost_since_; }
  // Why not; "read-only" while it is, if that is so.
  const std::string& why() const { return why_; }
  // Null unless connected. Another one each time that it had to be made anew.
  ZkClient* client() const { return connected_ ? client_.get() : nullptr; }
  const std::string& hosts() const { return options_.shown; }

  enum class Kind : uint8_t { kChildren, kData };
  // One znode's list of children, or its data. One for each at a time.
  class Watched;

 private:
  using Key = std::pair<Kind, std::string>;

  void OnState(ZkClient::State state, const std::string& why) override;
  void OnEvent(ZkClient::Event event, const std::string& path) override;
  void Connect();
  void Drop();
  void Replace(const std::string& why);
  void Lost(const std::string& why);
  bool MayTell();
  void ShowLost();
  void Queue(Watched* node);
  void Pump();
  void Ask(Watched* node);
  void OnAnswer(const Key& key, uint64_t id, ZkAnswer answer);
  void SetWatched(Watched* node, bool watched);
  void Forget(Watched* node);
  void OnWatchLeft(const Key& key);
  void Unwatch(const Key& key);
  void OnUnwatched(const Key& key, const ZkAnswer& answer);
  void ForgetLeft(const Key& key);
  void CountWatch(const Key& key, bool there);

  net::EventLoop* loop_;
  const Options options_;
  const ZkConnect connect_;
  const ZkMetrics metrics_;
  std::unique_ptr<ZkClient> client_;
  bool started_ = false;
  bool connected_ = false;
  int64_t last_session_ = 0;
  std::optional<base::TimePoint> lost_since_;
  std::string why_;
  std::string told_;  // in the log: why another session was begun
  base::TimePoint tell_at_{};
  size_t lines_ = 0;  // in the log, of connections, since a minute at most
  base::TimePoint lines_until_{};
  std::map<Key, Watched*> nodes_;
  std::deque<Watched*> queue_;
  size_t asked_ = 0;
  uint64_t last_id_ = 0;
  std::set<Key> left_;          // watches that nobody wants, and are not gone
  std::deque<Key> to_unwatch_;  // of them, and some that are gone
  size_t unwatching_ = 0;
  size_t watched_bytes_ = 0;
  base::Duration wait_{};  // before the next client
  net::Timer retry_;       // makes the next client
  net::Timer patience_;
  net::Timer show_lost_;
  net::Timer ask_again_;  // questions wait for it
  base::TimePoint connected_at_{};
  int quick_losses_ = 0;  // in a row
};

class ZkSession::Watched {
 public:
  // `answered` gets what a read gave; `changed` is called when the watch went off, and the znode
  // has to be read again to be watched again.
  Watched(ZkSession* session, Kind kind, std::string path, std::function<void(ZkAnswer)> answered,
          std::function<void()> changed);
  ~Watched();
  Watched(const Watched&) = delete;
  Watched& operator=(const Watched&) = delete;

  // Does nothing while one is to be read already.
  void Read();
  bool reading() const { return queued_ || asked_; }
  bool watched() const { return watched_; }
  const std::string& path() const { return key_.second; }

 private:
  friend class ZkSession;
  ZkSession* session_;
  const Key key_;
  const uint64_t id_;
  std::function<void(ZkAnswer)> answered_;
  std::function<void()> changed_;
  bool queued_ = false;
  bool asked_ = false;
  bool watched_ = false;
};

}  // namespace trestle::serversets
