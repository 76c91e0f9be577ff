// user_client: calls of userService with the client code that Apache Thrift generates.
//
//   user_client --port N [--protocol binary|old-binary|compact]
//               [--transport framed|buffered|header] [--multiplexed]
//               [--header KEY=VALUE]… [--show-headers]
//               [--upgrade] [--dtab '/prefix => /destination']… [--dest /path] [--client-id NAME]
//               [--count N] [--tally] METHOD [ARGUMENT]
//
// METHOD is one of userService (addUser getUser listUsers ping version echo echoBytes slow fail log
// logged), notThereYet, which no server knows, or `all`, which makes a call of every kind and
// checks the answers. Prints one line for each call, or with --tally each distinct line with its
// count:
//   ok VALUE | declared NAME: WHAT | application TYPE: TEXT | transport: TEXT
// --dtab, --dest and --client-id go into the Thrift header, after the upgrade that Finagle's
// clients do. --header is for the header transport, and --show-headers writes what came with a
// reply behind it, as {KEY=VALUE KEY=VALUE}. Exit code: 0 if every call was answered, 1 if a
// connection failed, 3 if `all` found a fault.
#include <thrift/TApplicationException.h>
#include <thrift/protocol/TBinaryProtocol.h>
#include <thrift/protocol/TCompactProtocol.h>
#include <thrift/protocol/THeaderProtocol.h>
#include <thrift/protocol/TMultiplexedProtocol.h>
#include <thrift/transport/TBufferTransports.h>
#include <thrift/transport/TSocket.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "ttwitter_protocol.h"
#include "userServiceNext.h"

namespace trestle::peers {
namespace {

namespace protocol = apache::thrift::protocol;
using apache::thrift::TApplicationException;
using apache::thrift::transport::TBufferedTransport;
using apache::thrift::transport::TFramedTransport;
using apache::thrift::transport::TSocket;
using apache::thrift::transport::TTransport;
using apache::thrift::transport::TTransportException;

constexpr int kAnswered = 0;
constexpr int kNoConnection = 1;
constexpr int kFault = 3;

struct Options {
  int port = 0;
  std::string protocol = "binary";
  std::string transport = "framed";
  bool multiplexed = false;
  bool upgrade = false;
  std::vector<std::string> dtab;
  RequestHeader header;
  std::vector<std::string> keys;  // KEY=VALUE
  bool show_headers = false;
  int count = 1;
  bool tally = false;
  std::string method;
  std::string argument;
};

// One connection and the generated client on it.
class Connection {
 public:
  explicit Connection(const Options& options) : keys_(options.keys) {
    auto socket = std::make_shared<TSocket>("127.0.0.1", options.port);
    socket->setRecvTimeout(30000);
    if (options.transport == "buffered") {
      transport_ = std::make_shared<TBufferedTransport>(socket);
    } else if (options.transport == "header") {
      transport_ = socket;  // the protocol brings the header transport with it
    } else {
      transport_ = std::make_shared<TFramedTransport>(socket);
    }
    transport_->open();
    std::shared_ptr<protocol::TProtocol> stack;
    const bool compact = options.protocol == "compact";
    if (options.transport == "header") {
      header_ = std::make_shared<protocol::THeaderProtocol>(
          transport_, compact ? protocol::T_COMPACT_PROTOCOL : protocol::T_BINARY_PROTOCOL);
      stack = header_;
    } else if (compact) {
      stack = std::make_shared<protocol::TCompactProtocol>(transport_);
    } else {
      // No bounds on strings and lists; reads what has no version too.
      const bool versioned = options.protocol == "binary";
      stack = std::make_shared<protocol::TBinaryProtocol>(transport_, 0, 0, false, versioned);
    }
    if (options.upgrade) {
      auto ttwitter = std::make_shared<TTwitterProtocol>(stack, options.header);
      if (!ttwitter->Upgrade()) throw TTransportException("the server refuses the upgrade");
      stack = ttwitter;
    }
    if (options.multiplexed) {
      stack = std::make_shared<protocol::TMultiplexedProtocol>(stack, "userService");
    }
    client_ = std::make_unique<userServiceNextClient>(stack);
  }

  // For one call: the header transport forgets its keys with each message.
  userServiceNextClient& client() {
    for (const std::string& key : keys_) {
      const size_t equals = key.find('=');
      if (header_) header_->setHeader(key.substr(0, equals), key.substr(equals + 1));
    }
    return *client_;
  }

  // What came with the last reply.
  std::string ShowHeaders() const {
    std::string text;
    for (const auto& [key, value] : header_ ? header_->getHeaders() : Headers()) {
      text += (text.empty() ? "" : " ") + key + "=" + value;
    }
    return " {" + text + "}";
  }

 private:
  using Headers = protocol::THeaderProtocol::StringToStringMap;

  std::vector<std::string> keys_;
  std::shared_ptr<TTransport> transport_;
  std::shared_ptr<protocol::THeaderProtocol> header_;
  std::unique_ptr<userServiceNextClient> client_;
};

std::string Show(const User& user) {
  return std::to_string(user.id) + " " + user.name + " from " + user.servedBy;
}

using Method = std::function<std::string(userServiceNextClient&, const std::string&)>;

template <typename Result>
Method Returning(void (userServiceClient::*method)(Result&, const std::string&)) {
  return [method](userServiceNextClient& client, const std::string& argument) {
    Result result;
    (client.*method)(result, argument);
    if constexpr (std::is_same_v<Result, User>) {
      return Show(result);
    } else {
      return result;
    }
  };
}

const std::map<std::string, Method>& Methods() {
  using Client = userServiceNextClient;
  static const auto* const methods = new std::map<std::string, Method>{
      {"addUser", Returning(&userServiceClient::addUser)},
      {"echo", Returning(&userServiceClient::echo)},
      {"echoBytes", Returning(&userServiceClient::echoBytes)},
      {"fail", Returning(&userServiceClient::fail)},
      {"getUser",
       [](Client& client, const std::string& id) {
         User user;
         client.getUser(user, std::stoll(id));
         return Show(user);
       }},
      {"listUsers",
       [](Client& client, const std::string&) {
         std::vector<User> users;
         client.listUsers(users);
         std::string shown;
         for (const User& user : users) shown += (shown.empty() ? "" : ", ") + Show(user);
         return shown;
       }},
      {"ping",
       [](Client& client, const std::string&) {
         client.ping();
         return std::string();
       }},
      {"version",
       [](Client& client, const std::string&) {
         std::string version;
         client.version(version);
         return version;
       }},
      {"slow",
       [](Client& client, const std::string& ms) {
         std::string version;
         client.slow(version, std::stoi(ms));
         return version;
       }},
      {"log",
       [](Client& client, const std::string& line) {
         client.log(line);
         return std::string();
       }},
      {"logged",
       [](Client& client, const std::string&) { return std::to_string(client.logged()); }},
      {"notThereYet",
       [](Client& client, const std::string&) {
         std::string result;
         client.notThereYet(result);
         return result;
       }},
  };
  return *methods;
}

// Makes the call and puts its outcome into a line. A connection that fails is the caller's to
// catch.
std::string Outcome(userServiceNextClient& client, const std::string& method,
                    const std::string& argument) {
  try {
    const std::string value = Methods().at(method)(client, argument);
    return value.empty() ? "ok" : "ok " + value;
  } catch (const UserExists& exists) {
    return "declared UserExists: " + exists.name;
  } catch (const NotFound& missing) {
    return "declared NotFound: " + std::to_string(missing.id);
  } catch (const TApplicationException& failure) {
    return "application " + std::to_string(failure.getType()) + ": " + failure.what();
  }
}

// A call of every kind on one connection; the answers must be those of a user_server that has its
// first two users only.
int CallAll(const Options& options) {
  std::string every_byte;
  for (int byte = 0; byte < 256; ++byte) every_byte += static_cast<char>(byte);
  std::string large;
  while (large.size() < 1'000'000) large += every_byte;
  struct Row {
    std::string method, argument, begin;
  };
  const std::vector<Row> rows = {
      {"ping", "", "ok"},
      {"getUser", "1", "ok 1 ada from "},
      {"getUser", "99", "declared NotFound: 99"},
      {"addUser", "barbara", "ok 3 barbara from "},
      {"addUser", "barbara", "declared UserExists: barbara"},
      {"listUsers", "", "ok 1 ada from "},
      {"echo", "gr\xc3\xbc\xc3\x9f dich", "ok gr\xc3\xbc\xc3\x9f dich"},
      {"echoBytes", every_byte, "ok " + every_byte},
      {"echoBytes", large, "ok " + large},
      {"echo", "", "ok"},
      {"notThereYet", "", "application 1: "},
      {"fail", "on purpose", "application "},
      {"log", "first", "ok"},
      {"log", "second", "ok"},
      {"logged", "", "ok 2"},
      {"slow", "20", "ok "},
      {"ping", "", "ok"},
  };
  Connection connection(options);
  int faults = 0;
  for (const Row& row : rows) {
    const auto call = [&] { return Outcome(connection.client(), row.method, row.argument); };
    std::string line = call();
    // Nothing says when a oneway was taken, so its count may come a moment later.
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (row.method == "logged" && line != row.begin &&
           std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      line = call();
    }
    if (line.compare(0, row.begin.size(), row.begin) == 0) continue;
    ++faults;
    std::cout << row.method << ": expected \"" << row.begin.substr(0, 200) << "\", got \""
              << line.substr(0, 200) << "\"\n";
  }
  std::cout << rows.size() - static_cast<size_t>(faults) << " calls as expected, " << faults
            << " not\n";
  return faults == 0 ? kAnswered : kFault;
}

int CallOne(const Options& options) {
  Connection connection(options);
  std::map<std::string, int> tally;
  for (int i = 0; i < options.count; ++i) {
    std::string line = Outcome(connection.client(), options.method, options.argument);
    if (options.show_headers) line += connection.ShowHeaders();
    if (options.tally) {
      ++tally[line];
    } else {
      std::cout << line << std::endl;
    }
  }
  for (const auto& [line, count] : tally) std::cout << count << " " << line << "\n";
  return kAnswered;
}

// "/a => /b" as prefix and destination; false if there is no arrow.
bool SplitDentry(const std::string& text, RequestHeader& header) {
  const size_t arrow = text.find("=>");
  if (arrow == std::string::npos) return false;
  const auto trim = [](const std::string& part) {
    const size_t first = part.find_first_not_of(' ');
    return first == std::string::npos ? std::string()
                                      : part.substr(first, part.find_last_not_of(' ') - first + 1);
  };
  header.delegations.emplace_back(trim(text.substr(0, arrow)), trim(text.substr(arrow + 2)));
  return true;
}

int Run(int argc, char** argv) {
  Options options;
  CLI::App app{"calls of userService with an Apache Thrift client"};
  app.add_option("--port", options.port)->required();
  app.add_option("--protocol", options.protocol)
      ->check(CLI::IsMember({"binary", "old-binary", "compact"}));
  app.add_option("--transport", options.transport)
      ->check(CLI::IsMember({"framed", "buffered", "header"}));
  app.add_flag("--multiplexed", options.multiplexed);
  app.add_option("--header", options.keys)->allow_extra_args(false);
  app.add_flag("--show-headers", options.show_headers);
  app.add_flag("--upgrade", options.upgrade);
  app.add_option("--dtab", options.dtab)->allow_extra_args(false);
  app.add_option("--dest", options.header.dest);
  app.add_option("--client-id", options.header.client_id);
  app.add_option("--count", options.count);
  app.add_flag("--tally", options.tally);
  app.add_option("method", options.method)->required();
  app.add_option("argument", options.argument);
  CLI11_PARSE(app, argc, argv);

  for (const std::string& dentry : options.dtab) {
    if (!SplitDentry(dentry, options.header)) {
      std::cerr << "user_client: no => in --dtab " << dentry << "\n";
      return 2;
    }
  }
  for (const std::string& key : options.keys) {
    if (key.find('=') == std::string::npos) {
      std::cerr << "user_client: no = in --header " << key << "\n";
      return 2;
    }
  }
  options.upgrade = options.upgrade || !options.dtab.empty() || !options.header.dest.empty() ||
                    !options.header.client_id.empty();
  if (options.method != "all" && !Methods().contains(options.method)) {
    std::cerr << "user_client: no method " << options.method << "\n";
    return 2;
  }
  return options.method == "all" ? CallAll(options) : CallOne(options);
}

}  // namespace
}  // namespace trestle::peers

int main(int argc, char** argv) {
  try {
    apache::thrift::GlobalOutput.setOutputFunction([](const char*) {});
    return trestle::peers::Run(argc, argv);
  } catch (const std::exception& failure) {
    std::cout << "transport: " << failure.what() << std::endl;
    return trestle::peers::kNoConnection;
  }
}
