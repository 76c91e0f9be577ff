#include "serversets/zookeeper.h"

#include <glog/logging.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <zookeeper/zookeeper.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

namespace trestle::serversets {
namespace {

using Code = ZkAnswer::Code;

// How often the hosts of a client that has lost its connection are looked up.
constexpr base::Duration kLookAgain = std::chrono::seconds(1);

// All for who shows the same authentication, reading for everybody.
char kAuthScheme[] = "auth", kWorldScheme[] = "world", kAnyone[] = "anyone", kNobody[] = "";
ACL kOursEntries[] = {{ZOO_PERM_ALL, {kAuthScheme, kNobody}},
                      {ZOO_PERM_READ, {kWorldScheme, kAnyone}}};
const ACL_vector kOurs = {2, kOursEntries};

// The threads that wait for the library.
class Threads {
 public:
  void Start(std::function<void()> work) {
    {
      std::lock_guard lock(mutex_);
      running_++;
    }
    std::thread([this, work = std::move(work)]() mutable {
      work();
      work = nullptr;
      std::lock_guard lock(mutex_);
      running_--;
      ended_.notify_all();
    }).detach();
  }
  bool Await(base::Duration patience) {
    std::unique_lock lock(mutex_);
    return ended_.wait_for(lock, patience, [this] { return running_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable ended_;
  size_t running_ = 0;
};

Threads& AllThreads() {
  static auto* threads = new Threads;  // outlives what runs in it
  return *threads;
}

// --- hosts ---

// Where the hosts of a cluster are: "10.0.0.1:2181". Those that do not resolve are left out.
struct Addresses {
  std::set<std::string> all;
  std::string why;  // of the last one that does not resolve
};

void LookUpHost(const std::string& host, const std::string& port, Addresses* out) {
  addrinfo hints{};
  hints.ai_flags = AI_ADDRCONFIG;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  int rc = getaddrinfo(host.c_str(), port.c_str(), &hints, &found);
  if (rc == EAI_ADDRFAMILY) {  // it is a literal, and there is no network but the loopback
    hints.ai_flags = 0;
    rc = getaddrinfo(host.c_str(), port.c_str(), &hints, &found);
  }
  if (rc != 0) {
    out->why = host + ": " + gai_strerror(rc);
    return;
  }
  for (const addrinfo* at = found; at; at = at->ai_next) {
    char ip[INET6_ADDRSTRLEN + 32];  // and the interface of one that is link-local
    if (getnameinfo(at->ai_addr, at->ai_addrlen, ip, sizeof ip, nullptr, 0, NI_NUMERICHOST) == 0) {
      out->all.insert(std::string(ip) + ":" + port);
    }
  }
  freeaddrinfo(found);
}

// Of "zk1:2181,zk2:2181/chroot". Waits for DNS.
Addresses LookUp(const std::string& hosts) {
  Addresses out;
  const std::string list = hosts.substr(0, hosts.find('/')) + ",";
  size_t begin = 0;
  for (size_t end = 0; (end = list.find(',', begin)) != std::string::npos; begin = end + 1) {
    const std::string one = list.substr(begin, end - begin);
    const size_t colon = one.rfind(':');
    if (colon == std::string::npos) continue;
    LookUpHost(one.substr(0, colon), one.substr(colon + 1), &out);
  }
  return out;
}

// What the library's threads hold. The loop is null once the client is gone.
struct Shared {
  std::mutex mutex;
  net::EventLoop* loop = nullptr;
  zhandle_t* handle = nullptr;
  bool opened = false;              // whoever opened it is done, and does not close it any more
  std::atomic<int> out{0};          // questions without an answer
  std::set<std::string> addresses;  // that the library has; as it was opened
  // On the loop only.
  ZkClient::Owner* owner = nullptr;
  std::function<void(const Addresses&)> looked;  // null with the owner

  void Post(std::function<void()> work) {
    std::lock_guard lock(mutex);
    if (loop) loop->Post(std::move(work));
  }
};
using SharedPtr = std::shared_ptr<Shared>;

// A question that is out; freed by its answer.
struct Question {
  Question(SharedPtr who, ZkClient::Call answered)
      : shared(std::move(who)), call(std::move(answered)) {
    ++shared->out;
  }
  ~Question() { --shared->out; }
  Question(const Question&) = delete;
  Question& operator=(const Question&) = delete;

  const SharedPtr shared;
  const ZkClient::Call call;
};

Code CodeOf(int rc) {
  switch (rc) {
    case ZOK:
      return Code::kOk;
    case ZNONODE:
      return Code::kNoNode;
    case ZNODEEXISTS:
      return Code::kNodeExists;
    case ZNOAUTH:
      return Code::kDenied;
    case ZCONNECTIONLOSS:
    case ZOPERATIONTIMEOUT:
    case ZSESSIONEXPIRED:
    case ZSESSIONMOVED:
    case ZINVALIDSTATE:
    case ZCLOSING:
      return Code::kLost;
    default:
      return Code::kFailed;
  }
}

ZkAnswer AnswerOf(int rc) {
  ZkAnswer answer;
  answer.code = CodeOf(rc);
  if (rc != ZOK) answer.why = zerror(rc);
  return answer;
}

void Answer(const void* data, ZkAnswer answer) {
  std::unique_ptr<const Question> question(static_cast<const Question*>(data));
  const SharedPtr shared = question->shared;
  shared->Post([shared, call = question->call, answer = std::move(answer)]() mutable {
    if (shared->owner) call(std::move(answer));
  });
}

// --- called by the library, on its threads ---

void OnChildren(int rc, const String_vector* names, const Stat* stat, const void* data) {
  ZkAnswer answer = AnswerOf(rc);
  for (int32_t i = 0; rc == ZOK && i < names->count; i++) {
    if (names->data[i]) {
      answer.children.emplace_back(names->data[i]);
    } else {  // the library could not read the list to its end
      answer = AnswerOf(ZMARSHALLINGERROR);
      break;
    }
  }
  if (answer.ok() && stat) answer.changes = stat->cversion;
  Answer(data, std::move(answer));
}

void OnData(int rc, const char* value, int size, const Stat* stat, const void* data) {
  ZkAnswer answer = AnswerOf(rc);
  if (rc == ZOK && size > 0) answer.data.assign(value, static_cast<size_t>(size));
  if (rc == ZOK && stat) answer.owner = stat->ephemeralOwner;
  Answer(data, std::move(answer));
}

void OnCreated(int rc, const char* path, const void* data) {
  ZkAnswer answer = AnswerOf(rc);
  if (rc == ZOK && path) answer.data = path;
  Answer(data, std::move(answer));
}

void OnDone(int rc, const void* data) { Answer(data, AnswerOf(rc)); }
void OnAuth(int, const void*) {}  // a refusal ends the session
void OnUnwatched(int rc, const void* data) { Answer(data, AnswerOf(rc == ZNOWATCHER ? ZOK : rc)); }

void TellState(const SharedPtr& shared, ZkClient::State state, const std::string& why) {
  shared->Post([shared, state, why] {
    if (shared->owner) shared->owner->OnState(state, why);
  });
}

void OnSession(const SharedPtr& shared, int state) {
  using State = ZkClient::State;
  if (state == ZOO_CONNECTED_STATE) return TellState(shared, State::kConnected, "");
  if (state == ZOO_READONLY_STATE) return TellState(shared, State::kConnected, "read-only");
  if (state == ZOO_EXPIRED_SESSION_STATE) {
    return TellState(shared, State::kOver, "the session expired");
  }
  if (state == ZOO_AUTH_FAILED_STATE) {
    return TellState(shared, State::kOver, "the authentication failed");
  }
  TellState(shared, State::kConnecting, "the connection was lost");
}

void OnWatch(zhandle_t* handle, int type, int state, const char* path, void* context) {
  const SharedPtr& shared = *static_cast<SharedPtr*>(context);
  if (type == ZOO_SESSION_EVENT) {
    {
      std::lock_guard lock(shared->mutex);
      // It may come before the handle is known to who asked for it.
      if (!shared->handle) shared->handle = handle;
    }
    return OnSession(shared, state);
  }
  ZkClient::Event event;
  if (type == ZOO_CHILD_EVENT) {
    event = ZkClient::Event::kChildren;
  } else if (type == ZOO_CHANGED_EVENT) {
    event = ZkClient::Event::kData;
  } else if (type == ZOO_DELETED_EVENT) {
    event = ZkClient::Event::kDeleted;
  } else {
    return;
  }
  shared->Post([shared, event, where = std::string(path)] {
    if (shared->owner) shared->owner->OnEvent(event, where);
  });
}

void Log(const char* text) { VLOG(1) << "zookeeper: " << text; }

// --- on threads of their own ---

// The library loses questions that are out when it closes, so they are waited for. They end with
// the connection, too.
void Close(zhandle_t* handle) {
  auto* context = static_cast<SharedPtr*>(const_cast<void*>(zoo_get_context(handle)));
  constexpr std::chrono::milliseconds kStep{2}, kLongest{2000};
  for (auto waited = kStep; (*context)->out > 0 && waited < kLongest; waited += kStep) {
    std::this_thread::sleep_for(kStep);
  }
  zookeeper_close(handle);
  delete context;
}

// The library gets addresses. Names it would look up with each try to connect, and while none
// resolves, again and again without a pause.
void Open(const ZkCluster& cluster, const SharedPtr& shared) {
  const Addresses at = LookUp(cluster.hosts);
  if (at.all.empty()) return TellState(shared, ZkClient::State::kOver, at.why);
  std::string hosts;
  for (const std::string& one : at.all) hosts += (hosts.empty() ? "" : ",") + one;
  const size_t chroot = cluster.hosts.find('/');
  if (chroot != std::string::npos) hosts += cluster.hosts.substr(chroot);
  const auto timeout =
      std::chrono::duration_cast<std::chrono::milliseconds>(cluster.session_timeout).count();
  const int flags = ZOO_NO_LOG_CLIENTENV | (cluster.read_only ? ZOO_READONLY : 0);
  auto* context = new SharedPtr(shared);
  zhandle_t* handle = zookeeper_init2(hosts.c_str(), OnWatch, static_cast<int>(timeout), nullptr,
                                      context, flags, Log);
  if (!handle) {
    const std::string why = std::strerror(errno);
    delete context;
    return TellState(shared, ZkClient::State::kOver, cluster.hosts + ": " + why);
  }
  // Else the library reads the addresses again for each message.
  zoo_set_servers_resolution_delay(handle, -1);
  if (!cluster.auth_scheme.empty()) {
    zoo_add_auth(handle, cluster.auth_scheme.c_str(), cluster.auth.data(),
                 static_cast<int>(cluster.auth.size()), OnAuth, nullptr);
  }
  std::unique_lock lock(shared->mutex);
  if (shared->loop) {
    shared->handle = handle;
    shared->addresses = at.all;
    shared->opened = true;
    lock.unlock();
    TellState(shared, ZkClient::State::kOpened, "");
  } else {  // nobody wants it any more
    shared->handle = nullptr;
    lock.unlock();
    Close(handle);
  }
}

class ZooKeeper final : public ZkClient, private ZkClient::Owner {
 public:
  ZooKeeper(net::EventLoop* loop, const ZkCluster& cluster, ZkClient::Owner* owner)
      : acl_(cluster.auth_scheme.empty() ? &ZOO_OPEN_ACL_UNSAFE : &kOurs),
        hosts_(cluster.hosts),
        owner_(owner),
        shared_(std::make_shared<Shared>()),
        look_again_(loop, [this] { LookAgain(); }) {
    shared_->loop = loop;
    shared_->owner = this;
    shared_->looked = [this](const Addresses& at) { OnLooked(at); };
    AllThreads().Start([cluster, shared = shared_] { Open(cluster, shared); });
  }
  ~ZooKeeper() override {
    shared_->owner = nullptr;
    shared_->looked = nullptr;
    std::lock_guard lock(shared_->mutex);
    shared_->loop = nullptr;
    // Else the thread that opens it closes it.
    if (shared_->opened) AllThreads().Start([handle = shared_->handle] { Close(handle); });
  }

  void Children(const std::string& path, Call call) override {
    AskChildren(path, 1, std::move(call));
  }
  void Data(const std::string& path, Call call) override { AskData(path, 1, std::move(call)); }
  void ChildrenOnce(const std::string& path, Call call) override {
    AskChildren(path, 0, std::move(call));
  }
  void DataOnce(const std::string& path, Call call) override { AskData(path, 0, std::move(call)); }
  void UnwatchChildren(const std::string& path, Call call) override {
    Unwatch(path, ZWATCHTYPE_CHILD, std::move(call));
  }
  void UnwatchData(const std::string& path, Call call) override {
    Unwatch(path, ZWATCHTYPE_DATA, std::move(call));
  }
  void Create(const std::string& path, const std::string& data, bool numbered, Call call) override {
    Question* question = Ask(std::move(call));
    if (!question) return;
    const int kind = numbered ? ZOO_EPHEMERAL_SEQUENTIAL : ZOO_PERSISTENT;
    const ACL_vector* acl = numbered ? acl_ : &ZOO_OPEN_ACL_UNSAFE;
    Sent(zoo_acreate2(handle(), path.c_str(), data.data(), static_cast<int>(data.size()), acl, kind,
                      OnCreatedWithStat, question),
         question);
  }
  void Delete(const std::string& path, Call call) override {
    Question* question = Ask(std::move(call));
    if (!question) return;
    Sent(zoo_adelete(handle(), path.c_str(), -1, OnDone, question), question);
  }
  int64_t session() const override {
    zhandle_t* at = handle();
    return at ? zoo_client_id(at)->client_id : 0;
  }

 private:
  void OnState(State state, const std::string& why) override {
    if (state == State::kConnecting) {
      lost_ = true;
      if (!looking_) look_again_.Arm(kLookAgain);
    } else if (state == State::kConnected) {
      lost_ = false;
      look_again_.Cancel();
    }
    owner_->OnState(state, why);  // which may destroy this
  }
  void OnEvent(Event event, const std::string& path) override { owner_->OnEvent(event, path); }
  void LookAgain() {
    looking_ = true;
    AllThreads().Start([hosts = hosts_, shared = shared_] {
      const Addresses at = LookUp(hosts);
      shared->Post([shared, at] {
        if (shared->looked) shared->looked(at);
      });
    });
  }
  // Hosts that moved are for another client: the library would drop what it is about to connect
  // under its own feet.
  void OnLooked(const Addresses& at) {
    looking_ = false;
    if (!lost_) return;
    const bool moved = [&] {
      std::lock_guard lock(shared_->mutex);
      return !std::includes(shared_->addresses.begin(), shared_->addresses.end(), at.all.begin(),
                            at.all.end());
    }();
    if (moved) return TellState(shared_, State::kOver, "the hosts have other addresses");
    look_again_.Arm(kLookAgain);
  }

  static void OnCreatedWithStat(int rc, const char* path, const Stat*, const void* data) {
    OnCreated(rc, path, data);
  }
  zhandle_t* handle() const {
    std::lock_guard lock(shared_->mutex);
    return shared_->handle;
  }
  // Null before the session was ever connected: told later, as all answers are.
  Question* Ask(Call call) {
    if (handle()) return new Question(shared_, std::move(call));
    shared_->Post([shared = shared_, call = std::move(call)] {
      if (shared->owner) call(AnswerOf(ZINVALIDSTATE));
    });
    return nullptr;
  }
  void AskChildren(const std::string& path, int watch, Call call) {
    Question* question = Ask(std::move(call));
    if (!question) return;
    Sent(zoo_aget_children2(handle(), path.c_str(), watch, OnChildren, question), question);
  }
  void AskData(const std::string& path, int watch, Call call) {
    Question* question = Ask(std::move(call));
    if (!question) return;
    Sent(zoo_aget(handle(), path.c_str(), watch, OnData, question), question);
  }
  void Sent(int rc, Question* question) {
    if (rc != ZOK) Answer(question, AnswerOf(rc));
  }
  void Unwatch(const std::string& path, ZooWatcherType type, Call call) {
    // Of the library: it calls `done` as a function, whatever its header says; and where the watch
    // is to go at the client alone, it takes the data for something of its own.
    constexpr int kAtServer = 0;
    auto* done = reinterpret_cast<void_completion_t*>(&OnUnwatched);
    Question* question = Ask(std::move(call));
    if (!question) return;
    const int rc = zoo_aremove_all_watches(handle(), path.c_str(), type, kAtServer, done, question);
    if (rc != ZOK) OnUnwatched(rc, question);
  }

  const ACL_vector* const acl_;  // of what goes with the session
  const std::string hosts_;
  ZkClient::Owner* const owner_;
  SharedPtr shared_;
  bool lost_ = false;     // it was connected before
  bool looking_ = false;  // a thread does
  net::Timer look_again_;
};

}  // namespace

std::unique_ptr<ZkClient> ConnectZooKeeper(net::EventLoop* loop, const ZkCluster& cluster,
                                           ZkClient::Owner* owner) {
  return std::make_unique<ZooKeeper>(loop, cluster, owner);
}

bool AwaitZooKeeper(base::Duration patience) { return AllThreads().Await(patience); }

}  // namespace trestle::serversets
