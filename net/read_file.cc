#include "net/read_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace trestle::net {
namespace {

void ReadAll(int fd, size_t most, FileContents* into) {
  char bytes[16 * 1024];
  while (into->text.size() <= most) {
    ssize_t n = read(fd, bytes, sizeof bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) into->error = errno;
    if (n <= 0) return;
    into->text.append(bytes, static_cast<size_t>(n));
  }
}

}  // namespace

FileContents ReadFile(const std::string& path, size_t most) {
  FileContents contents;
  // O_NONBLOCK: it may have become a pipe meanwhile, which nobody writes to.
  int fd = open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  struct stat st;
  if (fd < 0 || fstat(fd, &st) != 0) {
    contents.error = errno;
  } else if (S_ISREG(st.st_mode)) {
    contents.regular = true;
    contents.modified = base::WallTime(std::chrono::seconds(st.st_mtim.tv_sec) +
                                       std::chrono::nanoseconds(st.st_mtim.tv_nsec));
    ReadAll(fd, most, &contents);
  }
  if (fd >= 0) close(fd);
  return contents;
}

}  // namespace trestle::net
