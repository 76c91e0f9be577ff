// ZkClient: one session with a ZooKeeper cluster, as long as it lasts: reads that leave a watch,
// and what an announcement needs. It says when the session has ended and never begins another one.
//
// Lifetime: dropping it ends the session; nothing is called afterwards. Threading: the control
// loop. Errors: in the answers.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"

namespace trestle::serversets {

// Which cluster, and how to speak to it.
struct ZkCluster {
  std::string hosts;  // "zk1:2181,zk2:2181/chroot"
  base::Duration session_timeout = std::chrono::seconds(10);
  std::string auth_scheme;  // "digest"; empty: none
  std::string auth;
  bool read_only = false;  // a server that has lost its ensemble will do
  friend bool operator==(const ZkCluster&, const ZkCluster&) = default;
};

struct ZkAnswer {
  enum class Code {
    kOk,
    kNoNode,
    kNodeExists,
    kDenied,  // the znode's ACL does not let us
    kLost,    // the connection or the session; may be asked again
    kFailed,
  };
  Code code = Code::kOk;
  std::string why;                    // unless kOk
  std::vector<std::string> children;  // of Children: their names, without the path
  std::string data;                   // of Data; of Create, the path that was made
  int64_t changes = 0;  // of Children: how often the list changed since the znode is there
  int64_t owner = 0;    // of Data: the session with whose end the znode goes; 0: it stays
  bool ok() const { return code == Code::kOk; }
};

class ZkClient {
 public:
  enum class State {
    kOpened,      // it has looked its hosts up, however long that took; perhaps behind kConnected
    kConnecting,  // the connection was lost: the session may go on
    kConnected,
    kOver,  // expired, or refused: of no more use
  };
  // A watch that went off is gone.
  enum class Event { kChildren, kData, kDeleted };

  class Owner {
   public:
    virtual ~Owner() = default;
    virtual void OnState(State state, const std::string& why) = 0;
    virtual void OnEvent(Event event, const std::string& path) = 0;
  };
  using Call = std::function<void(ZkAnswer)>;

  virtual ~ZkClient() = default;
  // With a watch on the list, or the data, unless the answer is an error.
  virtual void Children(const std::string& path, Call call) = 0;
  virtual void Data(const std::string& path, Call call) = 0;
  // The same without a watch.
  virtual void ChildrenOnce(const std::string& path, Call call) = 0;
  virtual void DataOnce(const std::string& path, Call call) = 0;
  // Takes the watch away, here and at the server; ok, too, if there is none. After kLost it may be
  // there still, and comes back with the connection.
  virtual void UnwatchChildren(const std::string& path, Call call) = 0;
  virtual void UnwatchData(const std::string& path, Call call) = 0;
  // `numbered`: ZooKeeper puts a number behind the path, and the znode goes with the session.
  // With ZkCluster::auth it is readable by all, and all else is for who shows the same. One that
  // stays is everybody's: others put theirs beside ours.
  virtual void Create(const std::string& path, const std::string& data, bool numbered,
                      Call call) = 0;
  virtual void Delete(const std::string& path, Call call) = 0;
  virtual int64_t session() const = 0;  // its id, once connected
};

// Makes a client that connects; never null.
using ZkConnect = std::function<std::unique_ptr<ZkClient>(ZkClient::Owner*)>;

}  // namespace trestle::serversets
