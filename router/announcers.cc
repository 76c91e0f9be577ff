#include "router/announcers.h"

#include <glog/logging.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "conf/announced.h"
#include "serversets/announcement.h"
#include "serversets/zookeeper.h"

namespace trestle::router {
namespace {

using serversets::Announcement;
using serversets::ZkSession;
using Member = Announcement::Member;

// As Linkerd writes it, and in its order.
std::string Data(const conf::AnnouncerConfig& announcer, const Setup::Server& server,
                 const net::Address& admin) {
  using Json = nlohmann::ordered_json;
  const auto endpoint = [](const std::string& host, uint16_t port) {
    return Json{{"host", host}, {"port", port}};
  };
  Json more = Json::object();
  if (const auto host = conf::AnnouncedAdminHost(announcer, *server.config, admin.Ip())) {
    more["admin"] = endpoint(*host, admin.port());
  }
  const std::string& host = conf::AnnouncedHost(announcer, *server.config);
  return Json{{"serviceEndpoint", endpoint(host, server.address.port())},
              {"additionalEndpoints", std::move(more)},
              {"status", "ALIVE"},
              {"shard", announcer.shard}}
      .dump();
}

}  // namespace

struct Announcers::Place {
  std::string router;  // its label
  std::string prefix;  // "/#/io.l5d.serversets"
  conf::ZkClusterConfig cluster;
  friend bool operator==(const Place&, const Place&) = default;
};

struct Announcers::Wanted {
  Place place;
  std::set<Member> members;
};

// One session, and what it announces.
class Announcers::Announcer {
 public:
  Announcer(net::EventLoop* loop, base::Scope* root, const Connect& connect, Place place)
      : loop_(loop), place_(std::move(place)) {
    // "announcer/#/io.l5d.serversets/rt/main"
    base::Scope* scope =
        root->Labelled("announcer", place_.prefix.substr(1))->Labelled("rt", place_.router);
    there_ = scope->gauge("announced");
    const conf::ZkClusterConfig& says = place_.cluster;
    ZkSession::Options options;
    options.shown = says.hosts + " (announcer of " + place_.router + ")";
    options.patience = says.session_timeout;
    session_ = std::make_unique<ZkSession>(
        loop, options,
        connect({says.hosts, says.session_timeout, says.auth_scheme, says.auth, says.read_only}),
        serversets::ZkMetrics(scope->Labelled("cluster", says.hosts)));
  }

  const Place& place() const { return place_; }
  // With those on their way out.
  size_t size() const { return announced_.size() + going_.size(); }
  // Those that others know of.
  int64_t there() const { return there_->value(); }

  void Apply(const std::set<Member>& wanted) {
    std::erase_if(going_, [](const auto& one) { return one->gone(); });
    for (auto& one : std::exchange(announced_, {})) {
      auto& list = wanted.contains(one->member()) ? announced_ : going_;
      list.push_back(std::move(one));
      if (&list == &going_) going_.back()->Leave([] {});
    }
    for (const Member& member : wanted) {
      if (!Find(&announced_, member)) Add(member);
    }
  }
  void Leave(const std::function<void()>& left) {
    for (const List* list : {&announced_, &going_}) {
      for (const auto& one : *list) one->Leave(left);
    }
  }

 private:
  using List = std::vector<std::unique_ptr<Announcement>>;

  static Announcement* Find(List* list, const Member& member) {
    for (const auto& one : *list) {
      if (one->member() == member) return one.get();
    }
    return nullptr;
  }
  // One that is going may be wanted again.
  void Add(const Member& member) {
    for (auto one = going_.begin(); one != going_.end(); ++one) {
      if ((*one)->member() != member) continue;
      announced_.push_back(std::move(*one));
      going_.erase(one);
      return announced_.back()->Return();
    }
    announced_.push_back(std::make_unique<Announcement>(loop_, session_.get(), member, there_));
  }

  net::EventLoop* loop_;
  const Place place_;
  base::Gauge* there_;
  std::unique_ptr<ZkSession> session_;
  List announced_;
  List going_;
};

Announcers::Connect Announcers::RealZooKeeper(net::EventLoop* loop) {
  return [loop](const serversets::ZkCluster& cluster) {
    return [loop, cluster](serversets::ZkClient::Owner* owner) {
      return serversets::ConnectZooKeeper(loop, cluster, owner);
    };
  };
}

Announcers::Announcers(net::EventLoop* loop, base::Scope* scope, Connect connect)
    : loop_(loop),
      scope_(scope),
      connect_(std::move(connect)),
      patience_(loop,
                [this] {
                  LOG(WARNING) << "ZooKeeper does not answer: " << leaving_
                               << " members go with their sessions";
                  End();
                }),
      pause_(loop, [this] { End(); }) {}

Announcers::~Announcers() = default;

std::vector<Announcers::Wanted> Announcers::WantedBy(const Setup& setup,
                                                     const net::Address& admin) {
  std::vector<Wanted> all;
  const auto members_of = [&all](Place place) -> std::set<Member>& {
    for (Wanted& one : all) {
      if (one.place == place) return one.members;
    }
    return all.emplace_back(Wanted{std::move(place), {}}).members;
  };
  for (const Setup::Router& router : setup.routers) {
    for (const Setup::Server& server : router.servers) {
      for (const auto& name : server.config->announce) {
        for (const auto* announcer : conf::AnnouncersOf(*router.config, name.value)) {
          members_of({router.config->label.value, announcer->prefix.Show(), announcer->cluster})
              .insert(
                  {conf::AnnouncedSet(*announcer, name.value), Data(*announcer, server, admin)});
        }
      }
    }
  }
  return all;
}

void Announcers::Apply(const Setup& setup, const net::Address& admin) {
  const std::vector<Wanted> wanted = WantedBy(setup, admin);
  std::vector<std::unique_ptr<Announcer>> before = std::exchange(announcers_, {});
  for (const Wanted& one : wanted) {
    const auto known = std::find_if(before.begin(), before.end(), [&one](const auto& announcer) {
      return announcer && announcer->place() == one.place;
    });
    announcers_.push_back(known != before.end()
                              ? std::move(*known)
                              : std::make_unique<Announcer>(loop_, scope_, connect_, one.place));
    announcers_.back()->Apply(one.members);
  }
  // With a session goes what it announced.
  for (auto& announcer : before) loop_->DeleteLater(std::move(announcer));
}

void Announcers::Leave(base::Duration patience, base::Duration heard, std::function<void()> done) {
  done_ = std::move(done);
  heard_ = {};
  for (const auto& announcer : announcers_) {
    if (announcer->there() > 0) heard_ = heard;
  }
  leaving_ = 1;  // until all were told
  for (const auto& announcer : announcers_) leaving_ += announcer->size();
  patience_.Arm(patience);
  for (const auto& announcer : announcers_) announcer->Leave([this] { OnLeft(); });
  OnLeft();
}

void Announcers::OnLeft() {
  if (--leaving_ > 0) return;
  patience_.Cancel();
  if (heard_ == base::Duration{}) return End();
  pause_.Arm(heard_);
}

void Announcers::End() {
  patience_.Cancel();
  for (auto& announcer : std::exchange(announcers_, {})) loop_->DeleteLater(std::move(announcer));
  if (auto done = std::exchange(done_, nullptr)) done();
}

}  // namespace trestle::router
