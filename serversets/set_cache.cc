#include "serversets/set_cache.h"

#include <glog/logging.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>
#include <utility>

#include "net/read_file.h"

namespace trestle::serversets {
namespace {

using Json = nlohmann::json;
using std::chrono::milliseconds;

// A set that changes all the time is written so often.
constexpr milliseconds kPause{500};
constexpr milliseconds kLast{1000};
constexpr uint64_t kLatestMs = 1ULL << 42;  // the year 2109
// So old a half-written file is nobody's any more.
constexpr std::chrono::minutes kAbandoned{10};

// FNV-1a: the same in every process.
uint64_t HashOf(const std::string& text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  return hash;
}

// Makes a file of its own beside `file`. Another process may do the same at the same time, with the
// same process id: in a container each is 1.
std::FILE* OpenFresh(const std::string& file, std::string* fresh) {
  std::random_device random;
  for (int tries = 0; tries < 10; tries++) {
    *fresh = file + "." + std::to_string(random()) + "-" + std::to_string(random()) + ".new";
    std::FILE* out = std::fopen(fresh->c_str(), "wxbe");
    if (out || errno != EEXIST) return out;
  }
  return nullptr;
}

// In one step. Not forced onto the disk: what a crash of the machine loses is read again.
bool WriteWhole(const std::string& file, const std::string& text) {
  std::string fresh;
  std::FILE* out = OpenFresh(file, &fresh);
  if (!out) return false;
  bool good = std::fwrite(text.data(), 1, text.size(), out) == text.size();
  good &= std::fclose(out) == 0;
  if (good && std::rename(fresh.c_str(), file.c_str()) == 0) return true;
  const int error = errno;
  std::remove(fresh.c_str());
  errno = error;
  return false;
}

std::string ParentOf(const std::string& folder) {
  const size_t end = folder.find_last_not_of('/');
  const size_t slash = end == std::string::npos ? 0 : folder.rfind('/', end);
  return slash == std::string::npos ? "." : folder.substr(0, slash + 1);
}

}  // namespace

struct SetCache::Writer {
  std::string folder;
  std::mutex mutex;
  std::condition_variable changed;
  std::map<std::string, std::optional<std::string>> files;  // nullopt: to be removed
  bool writing = false;
  bool ending = false;

  // Of routers that were killed.
  void RemoveAbandoned() const {
    std::error_code ignored;
    for (const auto& file : std::filesystem::directory_iterator(folder, ignored)) {
      if (file.path().extension() != ".new") continue;
      const auto age = std::filesystem::file_time_type::clock::now() -
                       std::filesystem::last_write_time(file.path(), ignored);
      if (!ignored && age > kAbandoned) std::filesystem::remove(file.path(), ignored);
    }
  }
  void Run() {
    RemoveAbandoned();
    std::unique_lock lock(mutex);
    while (true) {
      changed.wait(lock, [this] { return ending || !files.empty(); });
      if (files.empty()) return;
      const auto taken = std::exchange(files, {});
      writing = true;
      lock.unlock();
      for (const auto& [file, text] : taken) Put(file, text);
      lock.lock();
      writing = false;
      changed.notify_all();
      changed.wait_for(lock, kPause, [this] { return ending; });
    }
  }
  void Put(const std::string& file, const std::optional<std::string>& text) const {
    if (text) mkdir(folder.c_str(), 0755);  // what is wrong, the file tells
    const bool good = text ? WriteWhole(file, *text) : std::remove(file.c_str()) == 0;
    if (good || (!text && errno == ENOENT)) return;
    LOG_EVERY_N(WARNING, 100) << "cacheDir: " << file << ": " << std::strerror(errno);
  }
};

base::Result<std::unique_ptr<SetCache>> SetCache::Open(const std::string& folder) {
  const auto wrong = [&folder](const std::string& why) {
    return base::Status(base::Code::kInvalid, folder + ": " + why);
  };
  constexpr int kWrite = R_OK | W_OK | X_OK;
  struct stat about {};
  if (stat(folder.c_str(), &about) == 0) {
    if (!S_ISDIR(about.st_mode)) return wrong("is no folder");
    if (access(folder.c_str(), kWrite) != 0) {
      return wrong(std::string("cannot write there: ") + std::strerror(errno));
    }
  } else if (errno != ENOENT || access((folder + "/..").c_str(), F_OK) == 0 ||
             access(ParentOf(folder).c_str(), kWrite) != 0) {
    return wrong(std::string("cannot make it: ") + std::strerror(errno));
  }
  auto writer = std::make_shared<Writer>();
  writer->folder = folder;
  std::thread([writer] { writer->Run(); }).detach();
  return std::unique_ptr<SetCache>(new SetCache(folder, std::move(writer)));
}

SetCache::SetCache(std::string folder, std::shared_ptr<Writer> writer)
    : folder_(std::move(folder)), writer_(std::move(writer)) {}

SetCache::~SetCache() {
  std::unique_lock lock(writer_->mutex);
  writer_->ending = true;
  writer_->changed.notify_all();
  writer_->changed.wait_for(lock, kLast,
                            [this] { return writer_->files.empty() && !writer_->writing; });
}

// Paths may be longer than a file's name; which set it is stands in the file.
std::string SetCache::FileOf(const std::string& hosts, const std::string& path) const {
  char name[64];
  std::snprintf(name, sizeof name, "/%016llx%016llx.json",
                static_cast<unsigned long long>(HashOf(hosts)),
                static_cast<unsigned long long>(HashOf(path)));
  return folder_ + name;
}

std::optional<SetCache::Saved> SetCache::Load(const std::string& hosts,
                                              const std::string& path) const {
  // What is nested deeper than ours is not even kept: it could be as deep as the file is long.
  constexpr int kDepth = 2;
  const auto keep = [](int depth, Json::parse_event_t, const Json&) { return depth <= kDepth; };
  const net::FileContents file = net::ReadFile(FileOf(hosts, path), kMostBytes);
  if (file.text.size() > kMostBytes) return std::nullopt;
  const Json json = Json::parse(file.text, keep, false);
  if (!json.is_object() || json.value("cluster", Json()) != hosts ||
      json.value("path", Json()) != path) {
    return std::nullopt;
  }
  const Json members = json.value("members", Json());
  const Json at = json.value("savedMs", Json());
  if (!members.is_object() || !at.is_number_unsigned() || at > kLatestMs) return std::nullopt;
  Saved saved;
  saved.at = std::chrono::system_clock::time_point(milliseconds(at.get<int64_t>()));
  for (const auto& [name, data] : members.items()) {
    if (data.is_string()) saved.nodes.push_back({name, data.get<std::string>()});
  }
  return saved;
}

void SetCache::Save(const std::string& hosts, const std::string& path,
                    const std::vector<naming::ServersetNode>& nodes,
                    std::chrono::system_clock::time_point now) {
  Json members = Json::object();
  for (const naming::ServersetNode& node : nodes) members[node.name] = node.data;
  const auto at = std::chrono::duration_cast<milliseconds>(now.time_since_epoch()).count();
  const Json json = {{"cluster", hosts}, {"path", path}, {"savedMs", at}, {"members", members}};
  std::optional<std::string> text = json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
  if (text->size() > kMostBytes) {
    LOG_EVERY_N(WARNING, 100) << "cacheDir: " << path << " has more than " << kMostBytes
                              << " bytes and is not kept";
    text.reset();
  }
  std::lock_guard lock(writer_->mutex);
  writer_->files[FileOf(hosts, path)] = std::move(text);
  writer_->changed.notify_all();
}

void SetCache::Remove(const std::string& hosts, const std::string& path) {
  std::lock_guard lock(writer_->mutex);
  writer_->files[FileOf(hosts, path)] = std::nullopt;
  writer_->changed.notify_all();
}

}  // namespace trestle::serversets
