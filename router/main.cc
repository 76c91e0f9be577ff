// trestle: the router's program. Reads the command line and the configuration, builds the namers
// that the configuration names, and runs until it is told to stop.
#include <glog/logging.h>
#include <malloc.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "conf/parse.h"
#include "namers/fs_namer.h"
#include "namers/inet.h"
#include "naming/explain.h"
#include "naming/rewrite_namer.h"
#include "naming/system_namer.h"
#include "net/file_watch.h"
#include "net/resolver.h"
#include "net/signals.h"
#include "router/derivation.h"
#include "router/process.h"

namespace trestle::router {
namespace {

constexpr int kCleanStop = 0, kFailed = 1, kBadConfig = 2;
constexpr int kResolverThreads = 4;

struct CommandLine {
  std::string config;
  bool validate = false;
  bool explain = false;
  std::string path, dtab, router;
};

// Everything that turns names into addresses, as the configuration says.
struct Namers {
  std::unique_ptr<net::FileWatch> watch;
  std::unique_ptr<net::Resolver> resolver;
  std::unique_ptr<namers::Inet> inet;
  std::unique_ptr<naming::SystemNamer> system;
  std::vector<std::unique_ptr<naming::Namer>> configured;
  naming::NamerSet set;
};

base::Result<std::unique_ptr<naming::Namer>> MakeNamer(net::EventLoop* loop, Namers* namers,
                                                       const conf::NamerConfig& config) {
  if (config.kind == conf::NamerConfig::Kind::kRewrite) {
    auto made = naming::RewriteNamer::Make(config.pattern.value, config.name.value);
    if (!made.ok()) return made.status();
    return std::unique_ptr<naming::Namer>(std::move(*made));
  }
  auto made =
      namers::FsNamer::Make(loop, namers->watch.get(), namers->inet.get(), config.root_dir.value);
  if (!made.ok()) return made.status();
  return std::unique_ptr<naming::Namer>(std::move(*made));
}

// The one place that knows the concrete namers. What is wrong goes into `problems`.
std::unique_ptr<Namers> BuildNamers(net::EventLoop* loop, const conf::Config& config,
                                    const std::string& file, std::vector<conf::Problem>* problems) {
  auto namers = std::make_unique<Namers>();
  auto watch = net::FileWatch::Make(loop);
  if (!watch.ok()) {
    problems->push_back({file, 0, "", watch.status().message()});
    return namers;
  }
  namers->watch = std::move(*watch);
  namers->resolver = std::make_unique<net::Resolver>(loop, kResolverThreads);
  namers::Inet::Options inet;
  inet.refresh = config.dns_refresh;
  namers->inet = std::make_unique<namers::Inet>(loop, namers->resolver.get(), inet);
  namers->system = std::make_unique<naming::SystemNamer>(namers->inet.get());
  namers->set.system = namers->system.get();
  namers->set.old_aliases = true;
  // The last one in the file is asked first.
  for (auto it = config.namers.rbegin(); it != config.namers.rend(); ++it) {
    auto made = MakeNamer(loop, namers.get(), *it);
    if (!made.ok()) {
      const auto& where = it->kind == conf::NamerConfig::Kind::kFs ? it->root_dir : it->pattern;
      problems->push_back(where.Wrong(file, made.status().message()));
      continue;
    }
    namers->set.entries.push_back({it->prefix, made->get()});
    namers->configured.push_back(std::move(*made));
  }
  return namers;
}

base::Result<std::string> ReadConfig(const std::string& file) {
  std::string text;
  if (file == "-") {
    text.assign(std::istreambuf_iterator<char>(std::cin), {});
    return text;
  }
  std::FILE* in = std::fopen(file.c_str(), "rb");
  char bytes[16 * 1024];
  size_t n = 0;
  while (in && text.size() <= conf::kMaxConfigBytes &&
         (n = std::fread(bytes, 1, sizeof bytes, in)) > 0) {
    text.append(bytes, n);
  }
  int error = !in || std::ferror(in) ? errno : 0;
  if (in) std::fclose(in);
  if (!error) return text;
  return base::Status(base::Code::kInvalid, file + ": cannot read it: " + std::strerror(error));
}

// `trestle explain`: prints where a name leads, and waits at most two seconds for who must answer.
int Explain(net::EventLoop* loop, const CommandLine& line, const conf::Config& config,
            const naming::NamerSet& namers) {
  auto path = naming::Path::Parse(line.path);
  auto local = naming::Dtab::Parse(line.dtab);
  if (!path.ok() || !local.ok()) {
    std::cerr << "trestle: "
              << (path.ok() ? "--dtab: " + local.status().message()
                            : "PATH: " + path.status().message())
              << "\n";
    return kBadConfig;
  }
  const conf::RouterConfig* router = nullptr;
  for (const auto& r : config.routers) {
    if (line.router.empty() ? !router : r.label.value == line.router) router = &r;
  }
  if (!router) {
    std::cerr << "trestle: --router: no router has the label " << line.router << "\n";
    return kBadConfig;
  }
  naming::Dtab dtab = router->dtab.value + *local;
  int exit_code = kCleanStop;
  Derive(loop, &namers, dtab, *path, std::chrono::seconds(2),
         [&](base::Result<naming::DelegateTree> tree) {
           if (tree.ok()) {
             naming::BindResult bound = naming::Bind(dtab, *path, namers);
             std::cout << naming::ExplainText(*tree, &bound);
           } else {
             std::cerr << "trestle: " << line.path << ": " << tree.status().message() << "\n";
             exit_code = kFailed;
           }
           loop->Stop();
         });
  loop->Run();
  return exit_code;
}

// As many descriptors as we may have: two for each call in flight.
void RaiseDescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) PLOG(WARNING) << "cannot raise the descriptor limit";
}

int Serve(net::EventLoop* loop, const conf::Config& config, const naming::NamerSet& namers) {
  std::signal(SIGPIPE, SIG_IGN);
  // What a burst of large frames took goes back to the system after it.
  mallopt(M_MMAP_THRESHOLD, 128 * 1024);
  RaiseDescriptorLimit();
  Process process(loop, config, &namers, TRESTLE_VERSION);
  net::Signals signals(loop, {SIGTERM, SIGINT, SIGHUP}, [&process](int signal) {
    if (signal != SIGHUP) return process.Drain();
    LOG(WARNING) << "SIGHUP: reloading the configuration is not supported yet; nothing changes";
  });
  base::Status started = process.Start();
  if (!started.ok()) {
    LOG(ERROR) << started.message();
    return kFailed;
  }
  loop->Run();
  LOG(INFO) << "stopped";
  return kCleanStop;
}

int Run(const CommandLine& line) {
  auto text = ReadConfig(line.config);
  if (!text.ok()) {
    std::cerr << text.status().message() << "\n";
    return kBadConfig;
  }
  std::string file = line.config == "-" ? "standard input" : line.config;
  conf::Parsed parsed = conf::Parse(*text, file);
  base::SystemClock clock;
  net::EventLoop loop(&clock);
  auto namers = BuildNamers(&loop, parsed.config, file, &parsed.problems);
  if (!parsed.problems.empty()) {
    conf::SortByLine(&parsed.problems);
    std::cerr << conf::ShowAll(parsed.problems);
    return kBadConfig;
  }
  if (line.explain) return Explain(&loop, line, parsed.config, namers->set);
  if (line.validate) {
    std::cerr << conf::ShowAll(parsed.warnings);
    std::cout << file << ": good\n";
    return kCleanStop;
  }
  for (const conf::Problem& warning : parsed.warnings) LOG(WARNING) << warning.Show();
  return Serve(&loop, parsed.config, namers->set);
}

}  // namespace
}  // namespace trestle::router

int main(int argc, char** argv) {
  using trestle::router::CommandLine;
  FLAGS_logtostderr = true;
  google::InitGoogleLogging(argv[0]);

  CommandLine line;
  CLI::App app("trestle: a router for Thrift calls");
  app.set_version_flag("--version", std::string("trestle ") + TRESTLE_VERSION);
  app.footer(
      "Exit status: 0 a clean stop, 1 a failure at run time (a port is taken), 2 a bad\n"
      "configuration or command line. SIGTERM and SIGINT drain and stop.");
  app.add_option("CONFIG", line.config, "the configuration file; - reads standard input");
  app.add_flag("--validate,-v", line.validate, "check the configuration and exit");
  auto* explain = app.add_subcommand(
      "explain", "print where a name leads, step by step, and exit; nothing is served");
  explain->add_option("CONFIG", line.config, "the configuration file")->required();
  explain->add_option("PATH", line.path, "the name, for example /svc/users")->required();
  explain->add_option("--dtab", line.dtab, "entries to put behind the router's own");
  explain->add_option("--router", line.router, "the label of the router; else the first one");
  std::vector<std::string> words;
  for (int i = argc - 1; i > 0; i--) {
    // Linkerd's way of writing it.
    words.emplace_back(std::string(argv[i]) == "-validate" ? "--validate" : argv[i]);
  }
  try {
    app.parse(words);
    line.explain = explain->parsed();
    if (line.config.empty()) throw CLI::RequiredError("CONFIG");
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return trestle::router::Run(line);
}
