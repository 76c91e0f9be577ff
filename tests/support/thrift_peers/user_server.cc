// user_server: the userService of users.thrift on an Apache Thrift server.
//
//   user_server [--port N] [--version v1] [--protocol binary|old-binary|compact] [--multiplexed]
//               [--transport framed|buffered|header] [--server threaded|nonblocking|simple|pool]
//               [--threads N]
//
// old-binary: answers without a version (it reads both forms, as binary does). pool: N threads,
// each with one connection until that ends; nonblocking is always framed. header: the header
// transport, which takes framed and buffered clients too; a call's keys come back as seen-KEY.
// Prints "listening PORT" once it takes connections (port 0: any free one) and runs until it is
// killed.
#include <thrift/concurrency/ThreadFactory.h>
#include <thrift/concurrency/ThreadManager.h>
#include <thrift/processor/TMultiplexedProcessor.h>
#include <thrift/protocol/TBinaryProtocol.h>
#include <thrift/protocol/TCompactProtocol.h>
#include <thrift/protocol/THeaderProtocol.h>
#include <thrift/server/TNonblockingServer.h>
#include <thrift/server/TSimpleServer.h>
#include <thrift/server/TThreadPoolServer.h>
#include <thrift/server/TThreadedServer.h>
#include <thrift/transport/TBufferTransports.h>
#include <thrift/transport/TNonblockingServerSocket.h>
#include <thrift/transport/TServerSocket.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "userService.h"

namespace trestle::peers {
namespace {

namespace thrift = apache::thrift;

struct Options {
  int port = 0;
  std::string version = "v1";
  std::string protocol = "binary";
  std::string transport = "framed";
  std::string server = "threaded";
  size_t threads = 8;
  bool multiplexed = false;
};

// The users of one server. Each server has its own, and begins with ada (1) and grace (2).
class Users : public userServiceIf {
 public:
  explicit Users(std::string version) : version_(std::move(version)) {
    Add("ada");
    Add("grace");
  }

  void addUser(User& result, const std::string& name) override {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, user] : users_) {
      if (user.name == name) {
        UserExists exists;
        exists.name = name;
        throw exists;
      }
    }
    result = Add(name);
  }

  void getUser(User& result, int64_t id) override {
    const std::lock_guard lock(mutex_);
    const auto found = users_.find(id);
    if (found == users_.end()) {
      NotFound missing;
      missing.id = id;
      throw missing;
    }
    result = found->second;
  }

  void listUsers(std::vector<User>& result) override {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, user] : users_) result.push_back(user);
  }

  void ping() override {}
  void version(std::string& result) override { result = version_; }
  void echo(std::string& result, const std::string& text) override { result = text; }
  void echoBytes(std::string& result, const std::string& bytes) override { result = bytes; }

  void slow(std::string& result, int32_t ms) override {
    std::this_thread::sleep_for(std::chrono::milliseconds(ms));
    result = version_;
  }

  void fail(std::string&, const std::string& text) override { throw std::runtime_error(text); }
  void log(const std::string&) override { ++logged_; }
  int64_t logged() override { return logged_; }

 private:
  const User& Add(const std::string& name) {
    const auto id = static_cast<int64_t>(users_.size()) + 1;
    User& user = users_[id];
    user.id = id;
    user.name = name;
    user.servedBy = version_;
    user.__set_tags({"new", "of " + version_});
    return user;
  }

  const std::string version_;
  std::mutex mutex_;
  std::map<int64_t, User> users_;
  std::atomic<int64_t> logged_{0};
};

// Says where the server listens, once it does.
class Announcer : public thrift::server::TServerEventHandler {
 public:
  explicit Announcer(std::function<int()> port) : port_(std::move(port)) {}
  void preServe() override { std::cout << "listening " << port_() << std::endl; }

 private:
  std::function<int()> port_;
};

// Sends the keys of each call's header back with its reply.
class Processor : public userServiceProcessor {
 public:
  using userServiceProcessor::userServiceProcessor;

 protected:
  bool dispatchCall(thrift::protocol::TProtocol* in, thrift::protocol::TProtocol* out,
                    const std::string& name, int32_t seqid, void* context) override {
    if (auto* header = dynamic_cast<thrift::protocol::THeaderProtocol*>(out)) {
      const auto keys = header->getHeaders();
      for (const auto& [key, value] : keys) header->setHeader("seen-" + key, value);
    }
    return userServiceProcessor::dispatchCall(in, out, name, seqid, context);
  }
};

std::shared_ptr<thrift::TProcessor> MakeProcessor(const Options& options) {
  auto processor = std::make_shared<Processor>(std::make_shared<Users>(options.version));
  if (!options.multiplexed) return processor;
  auto multiplexed = std::make_shared<thrift::TMultiplexedProcessor>();
  multiplexed->registerProcessor("userService", processor);
  return multiplexed;
}

std::shared_ptr<thrift::protocol::TProtocolFactory> MakeProtocol(const Options& options) {
  if (options.transport == "header") {
    return std::make_shared<thrift::protocol::THeaderProtocolFactory>();
  }
  if (options.protocol == "compact") {
    return std::make_shared<thrift::protocol::TCompactProtocolFactory>();
  }
  // No bounds on strings and lists; reads what has no version too.
  const bool versioned = options.protocol == "binary";
  return std::make_shared<thrift::protocol::TBinaryProtocolFactory>(0, 0, false, versioned);
}

std::shared_ptr<thrift::transport::TTransportFactory> MakeTransport(const Options& options) {
  if (options.transport == "buffered") {
    return std::make_shared<thrift::transport::TBufferedTransportFactory>();
  }
  if (options.transport == "header") {  // the protocol brings it with it
    return std::make_shared<thrift::transport::TTransportFactory>();
  }
  return std::make_shared<thrift::transport::TFramedTransportFactory>();
}

std::shared_ptr<thrift::concurrency::ThreadManager> MakeThreads(const Options& options) {
  auto threads = thrift::concurrency::ThreadManager::newSimpleThreadManager(options.threads);
  threads->threadFactory(std::make_shared<thrift::concurrency::ThreadFactory>());
  threads->start();
  return threads;
}

void ServeNonblocking(const Options& options) {
  auto socket =
      std::make_shared<thrift::transport::TNonblockingServerSocket>("127.0.0.1", options.port);
  thrift::server::TNonblockingServer server(MakeProcessor(options), MakeProtocol(options), socket,
                                            MakeThreads(options));
  server.setServerEventHandler(
      std::make_shared<Announcer>([socket] { return socket->getListenPort(); }));
  server.serve();
}

template <typename Server, typename... More>
void Serve(const Options& options, const More&... more) {
  auto socket = std::make_shared<thrift::transport::TServerSocket>("127.0.0.1", options.port);
  const auto transport = MakeTransport(options);
  const auto protocol = MakeProtocol(options);
  // The header protocol answers in the form that it read last, so it has to be one for both ways.
  const auto out = options.transport == "header" ? nullptr : protocol;
  Server server(MakeProcessor(options), socket, transport, transport, protocol, out, more...);
  server.setServerEventHandler(std::make_shared<Announcer>([socket] { return socket->getPort(); }));
  server.serve();
}

int Run(int argc, char** argv) {
  Options options;
  CLI::App app{"userService on an Apache Thrift server"};
  app.add_option("--port", options.port);
  app.add_option("--version", options.version);
  app.add_option("--protocol", options.protocol)
      ->check(CLI::IsMember({"binary", "old-binary", "compact"}));
  app.add_option("--transport", options.transport)
      ->check(CLI::IsMember({"framed", "buffered", "header"}));
  app.add_option("--server", options.server)
      ->check(CLI::IsMember({"threaded", "nonblocking", "simple", "pool"}));
  app.add_option("--threads", options.threads);
  app.add_flag("--multiplexed", options.multiplexed);
  CLI11_PARSE(app, argc, argv);

  // Apache's servers write a line for each connection that ends; that is no news here.
  thrift::GlobalOutput.setOutputFunction([](const char*) {});
  if (options.server == "nonblocking") {
    ServeNonblocking(options);
  } else if (options.server == "simple") {
    Serve<thrift::server::TSimpleServer>(options);
  } else if (options.server == "pool") {
    Serve<thrift::server::TThreadPoolServer>(options, MakeThreads(options));
  } else {
    Serve<thrift::server::TThreadedServer>(options);
  }
  return 0;
}

}  // namespace
}  // namespace trestle::peers

int main(int argc, char** argv) {
  try {
    return trestle::peers::Run(argc, argv);
  } catch (const std::exception& failure) {
    std::cerr << "user_server: " << failure.what() << std::endl;
    return 1;
  }
}
