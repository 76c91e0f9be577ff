// trestle: the router's program. Reads the command line and the configuration, and runs until it is
// told to stop.
#include <fcntl.h>
#include <glog/logging.h>
#include <malloc.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "conf/parse.h"
#include "naming/explain.h"
#include "net/signals.h"
#include "router/derivation.h"
#include "router/main_namers.h"
#include "router/process.h"
#include "serversets/zookeeper.h"

namespace trestle::router {
namespace {

// For sessions with ZooKeeper to be ended: they take what they announced with them.
constexpr base::Duration kZooKeeperPatience = std::chrono::milliseconds(500);

constexpr int kCleanStop = 0, kFailed = 1, kBadConfig = 2;

struct CommandLine {
  std::string config;
  bool validate = false;
  bool explain = false;
  std::string path, dtab, router;
};

// Whether opening and reading it ends by itself: a pipe is waited for.
bool IsRegular(int descriptor) {
  struct stat about {};
  return fstat(descriptor, &about) == 0 && S_ISREG(about.st_mode);
}

// `again`: while calls are served, so it must not wait.
base::Result<std::string> ReadConfig(const std::string& file, bool again) {
  std::string text;
  if (file == "-") {
    text.assign(std::istreambuf_iterator<char>(std::cin), {});
    return text;
  }
  const int descriptor = open(file.c_str(), O_RDONLY | O_CLOEXEC | (again ? O_NONBLOCK : 0));
  if (again && descriptor >= 0 && !IsRegular(descriptor)) {
    close(descriptor);
    return base::Status(base::Code::kInvalid,
                        file + ": cannot be read again: it is no regular file");
  }
  std::FILE* in = descriptor < 0 ? nullptr : fdopen(descriptor, "rb");
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
            const std::shared_ptr<const naming::NamerSet>& namers) {
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
  Derivations derivations(loop);
  derivations.Derive(
      namers, dtab, *path, std::chrono::seconds(2), [&](base::Result<naming::DelegateTree> tree) {
        if (tree.ok()) {
          naming::BindResult bound = naming::Bind(dtab, *path, *namers);
          std::cout << naming::ExplainText(*tree, &bound);
          if (path->empty()) {
            std::cout << "/ is the empty name; the calls of this router have names that begin with "
                      << router->dst_prefix.Show() << " (dstPrefix)\n";
          }
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

// A configuration that was read, checked, and its namers built.
struct Loaded {
  std::shared_ptr<const conf::Config> config;
  std::shared_ptr<const Namers> namers;
  std::shared_ptr<const TlsContexts> tls;
  std::vector<conf::Problem> problems;  // in the order of their lines; any: not to be used
  std::vector<conf::Problem> warnings;

  std::shared_ptr<const naming::NamerSet> set() const { return SetOf(namers); }
};

// What is wrong is told with this.
std::string Shown(const std::string& file) { return file == "-" ? "standard input" : file; }

// `namers` and `tls`: what runs; null at the start.
base::Result<Loaded> Load(const Ground& ground, const std::string& file, const Namers* namers,
                          const TlsContexts* tls) {
  auto text = ReadConfig(file, namers != nullptr);
  if (!text.ok()) return text.status();
  const std::string shown = Shown(file);
  conf::Parsed parsed = conf::Parse(*text, shown);
  Loaded loaded;
  loaded.namers = BuildNamers(ground, parsed.config, shown, namers, &parsed.problems);
  loaded.tls = TlsContexts::Load(parsed.config, shown, *ground.tls, tls, &parsed.problems);
  conf::SortByLine(&parsed.problems);
  loaded.config = std::make_shared<const conf::Config>(std::move(parsed.config));
  loaded.problems = std::move(parsed.problems);
  loaded.warnings = std::move(parsed.warnings);
  return loaded;
}

// SIGHUP: the whole of the new configuration, or nothing of it. It runs to its end in one turn of
// the control loop, so a second one comes after it.
void Reload(const Ground& ground, const std::string& file, Process* process,
            std::shared_ptr<const Namers>* namers) {
  if (process->draining()) {
    LOG(WARNING) << "SIGHUP while draining: the configuration is not read again";
    return;
  }
  auto refuse = [process](const std::vector<std::string>& errors) {
    for (const std::string& error : errors) LOG(ERROR) << error;
    LOG(ERROR) << "the configuration was not reloaded; everything stays as it was";
    process->CountFailedReload();
  };
  if (file == "-") return refuse({"standard input cannot be read again"});
  auto loaded = Load(ground, file, namers->get(), process->tls().get());
  if (!loaded.ok()) return refuse({loaded.status().message()});
  std::vector<std::string> errors;
  for (const conf::Problem& problem : loaded->problems) errors.push_back(problem.Show());
  if (!errors.empty()) return refuse(errors);
  for (const conf::Problem& warning : loaded->warnings) LOG(WARNING) << warning.Show();
  for (const base::Status& status : process->Reload(loaded->config, loaded->set(), loaded->tls)) {
    errors.push_back(status.message());
  }
  if (!errors.empty()) return refuse(errors);
  StartNamers(*loaded->namers);
  *namers = loaded->namers;
}

int Serve(const Ground& ground, const std::string& file, Loaded loaded) {
  net::EventLoop* loop = ground.loop;
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGHUP, SIG_IGN);  // again when `signals` is gone: the workers still end then
  // What a burst of large frames took goes back to the system after it.
  mallopt(M_MMAP_THRESHOLD, 128 * 1024);
  RaiseDescriptorLimit();
  Process process(loop, ground.metrics, loaded.config, loaded.set(),
                  {ground.tls, loaded.tls, Shown(file)}, TRESTLE_VERSION);
  std::shared_ptr<const Namers> namers = std::move(loaded.namers);
  net::Signals signals(loop, {SIGTERM, SIGINT, SIGHUP}, [&](int signal) {
    if (signal != SIGHUP) return process.Drain();
    Reload(ground, file, &process, &namers);
  });
  const std::vector<base::Status> errors = process.Start();
  for (const base::Status& error : errors) LOG(ERROR) << error.message();
  if (!errors.empty()) return kFailed;
  loop->Run();
  LOG(INFO) << "stopped";
  return kCleanStop;
}

int Run(const CommandLine& line) {
  base::SystemClock clock;
  net::EventLoop loop(&clock);
  base::Metrics metrics;
  TlsState tls(&clock);
  const Ground ground{&loop, &metrics, metrics.NewTable(), &tls};
  auto loaded = Load(ground, line.config, nullptr, nullptr);
  if (!loaded.ok()) {
    std::cerr << loaded.status().message() << "\n";
    return kBadConfig;
  }
  if (!loaded->problems.empty()) {
    std::cerr << conf::ShowAll(loaded->problems);
    return kBadConfig;
  }
  if (!line.validate) StartNamers(*loaded->namers);
  if (line.explain) return Explain(&loop, line, *loaded->config, loaded->set());
  if (line.validate) {
    std::cerr << conf::ShowAll(loaded->warnings);
    std::cout << (line.config == "-" ? "standard input" : line.config) << ": good\n";
    return kCleanStop;
  }
  for (const conf::Problem& warning : loaded->warnings) LOG(WARNING) << warning.Show();
  return Serve(ground, line.config, std::move(*loaded));
}

// Without destroying what its threads use, if a ZooKeeper or its DNS does not answer.
int Ended(int exit_code) {
  if (serversets::AwaitZooKeeper(kZooKeeperPatience)) return exit_code;
  std::cout.flush();
  google::FlushLogFiles(google::GLOG_INFO);
  std::_Exit(exit_code);
}

}  // namespace
}  // namespace trestle::router

int main(int argc, char** argv) {  // NOLINT(bugprone-exception-escape): it ends the program
  using trestle::router::CommandLine;
  FLAGS_logtostderr = true;
  google::InitGoogleLogging(argv[0]);

  CommandLine line;
  CLI::App app("trestle: a router for Thrift calls");
  app.set_version_flag("--version", std::string("trestle ") + TRESTLE_VERSION);
  app.footer(
      "Exit status: 0 a clean stop, 1 a failure at run time (a port is taken), 2 a bad\n"
      "configuration or command line. SIGTERM and SIGINT drain and stop; SIGHUP reads CONFIG\n"
      "again.");
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
  return trestle::router::Ended(trestle::router::Run(line));
}
