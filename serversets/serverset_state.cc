// What /namer_state tells of serversets.
#include <ctime>
#include <nlohmann/json.hpp>

#include "serversets/serverset_namer.h"

namespace trestle::serversets {
namespace {

using Json = nlohmann::ordered_json;

std::string ShowTime(std::chrono::system_clock::time_point at) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(at);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

const char* NameOf(Serverset::State state) {
  switch (state) {
    case Serverset::State::kUnknown:
      return "not read yet";
    case Serverset::State::kMissing:
      return "missing";
    case Serverset::State::kThere:
      return "there";
    case Serverset::State::kFailed:
      return "failed";
  }
  return "";
}

const char* NameOf(naming::Addr::Kind kind) {
  switch (kind) {
    case naming::Addr::Kind::kBound:
      return "bound";
    case naming::Addr::Kind::kFailed:
      return "failed";
    case naming::Addr::Kind::kPending:
      return "pending";
    case naming::Addr::Kind::kNeg:
      return "neg";
  }
  return "";
}

Json ShowMembers(const Serverset& set) {
  Json members = Json::array();
  set.ForEachEntry(Serverset::Which::kNow,
                   [&members](const naming::ServersetEntry& entry, double weight) {
                     Json member = {{"member", entry.member},
                                    {"host", entry.host},
                                    {"port", entry.port},
                                    {"status", entry.status},
                                    {"weight", weight}};
                     if (entry.shard) member["shard"] = *entry.shard;
                     for (const auto& name : entry.names)
                       member["endpoints"].push_back(name.value_or(""));
                     members.push_back(std::move(member));
                   });
  return members;
}

// What calls go to, for each endpoint and shard that is asked for.
Json ShowServed(const Serverset& set) {
  Json served = Json::object();
  for (const auto& view : set.views()) {
    std::string name = set.path();
    if (view->endpoint()) name += ":" + *view->endpoint();
    if (view->shard()) name += "#" + std::to_string(*view->shard());
    const naming::Addr& addr = view->value();
    Json shown = {{"state", NameOf(addr.kind)}, {"held", view->held()}, {"why", addr.cause}};
    shown["unresolved"] = view->Unresolved();
    shown["addresses"] = Json::array();
    for (const naming::Endpoint& endpoint : addr.endpoints) {
      shown["addresses"].push_back(endpoint.host + ":" + std::to_string(endpoint.port));
    }
    served[name] = std::move(shown);
  }
  return served;
}

Json ShowSet(const Serverset& set) {
  Json shown = {{"state", NameOf(set.state())}, {"why", set.why()}};
  shown["stale"] = nullptr;
  if (const auto stale = set.stale()) {
    shown["stale"] = {{"since", ShowTime(stale->since)}, {"why", stale->why}};
  }
  shown["watch"] = {{"list", set.list_watched()}, {"members", set.members_watched()}};
  shown["members"] = ShowMembers(set);
  shown["leftOut"] = set.left_out();
  shown["served"] = ShowServed(set);
  return shown;
}

}  // namespace

std::optional<std::string> ServersetNamer::State() const {
  Json clusters = Json::array();
  for (const auto& cluster : clusters_) {
    const ZkSession& session = *cluster->place().session;
    Json shown = {
        {"hosts", session.hosts()}, {"connected", session.connected()}, {"why", session.why()}};
    shown["sets"] = Json::object();
    for (const auto& set : cluster->sets()) shown["sets"][set->path()] = ShowSet(*set);
    clusters.push_back(std::move(shown));
  }
  return Json({{"clusters", std::move(clusters)}})
      .dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace trestle::serversets
