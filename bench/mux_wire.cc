#include "bench/mux_wire.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "bench/bytes.h"

namespace trestle::bench {
namespace {

constexpr char kTinit = 68, kRinit = -68;
constexpr char kRerr = 127, kNewRerr = -128;  // Finagle writes the first and reads both
constexpr char kOldTdiscarded = -62, kTdiscarded = 66;
constexpr uint32_t kControlTag = 1;
constexpr std::string_view kProbe = "tinit check";
constexpr uint32_t kVersion = 1;
constexpr uint32_t kMostStartBytes = 64 * 1024;  // of an answer at the start
constexpr int kPatience = 10'000;                // ms: how long it waits for one

void AddText(std::string_view text, std::string* out) {
  Add<4>(text.size(), out);
  *out += text;
}

// The body of Tinit and Rinit: no fragments, no TLS.
std::string InitBody() {
  std::string out;
  Add<2>(kVersion, &out);
  AddText("mux-framer", &out);
  AddText("\x7f\xff\xff\xff", &out);
  AddText("tls", &out);
  AddText("off", &out);
  return out;
}

bool No(const std::string& text, std::string* why) {
  *why = text;
  return false;
}

// Exactly `size` bytes.
bool ReadWhole(int fd, char* to, size_t size, std::string* why) {
  while (size > 0) {
    const ssize_t n = recv(fd, to, size, 0);
    if (n > 0) {
      to += n;
      size -= static_cast<size_t>(n);
      continue;
    }
    if (n == 0) return No("the other side closed the connection", why);
    pollfd wait{fd, POLLIN, 0};
    if (errno == EAGAIN && poll(&wait, 1, kPatience) == 0) return No("no answer", why);
    if (errno != EAGAIN && errno != EINTR) return No(std::strerror(errno), why);
  }
  return true;
}

// Sends a message and reads the next one that comes.
bool Ask(int fd, const std::string& message, std::string* answer, std::string* why) {
  const ssize_t n = send(fd, message.data(), message.size(), MSG_NOSIGNAL);
  if (n != static_cast<ssize_t>(message.size())) return No(std::strerror(errno), why);
  answer->assign(4, '\0');
  if (!ReadWhole(fd, answer->data(), 4, why)) return false;
  const uint32_t size = Read<4>(answer->data());
  if (size < 4 || size > kMostStartBytes) {
    return No("a message of " + std::to_string(size) + " bytes", why);
  }
  answer->resize(4 + size);
  return ReadWhole(fd, answer->data() + 4, size, why);
}

// Takes `size` bytes, or as many as the length in front of them says, off the front.
bool Take(std::string_view* from, size_t size, std::string_view* out) {
  if (from->size() < size) return false;
  *out = from->substr(0, size);
  from->remove_prefix(size);
  return true;
}
bool TakeText(std::string_view* from, std::string_view* out) {
  std::string_view size;
  return Take(from, 4, &size) && Take(from, Read<4>(size.data()), out);
}

// Whether an Rinit agrees to what InitBody says, for calls of `body` bytes.
bool Agrees(std::string_view init, size_t body, std::string* why) {
  std::string_view version, key, value;
  if (!Take(&init, 2, &version) || Read<2>(version.data()) != kVersion) {
    return No("another version", why);
  }
  while (!init.empty()) {
    if (!TakeText(&init, &key) || !TakeText(&init, &value)) return No("a bad header", why);
    if (key == "tls" && value != "off") return No("TLS is asked for", why);
    if (key == "mux-framer" && (value.size() != 4 || Read<4>(value.data()) < body)) {
      return No("fragments are asked for, which are not made here", why);
    }
  }
  return true;
}

bool IsProbe(std::string_view message) {
  const char type = message[kMuxTypeAt];
  return (type == kRerr || type == kNewRerr) && message.substr(kMuxHead) == kProbe;
}

}  // namespace

std::string MuxMessage(char type, uint32_t tag, std::string_view body) {
  std::string out;
  Add<4>(4 + body.size(), &out);
  out += type;
  Add<3>(tag, &out);
  out += body;
  return out;
}

bool StartMuxSession(int fd, size_t body, std::string* why) {
  std::string answer;
  const std::string probe = MuxMessage(kRerr, kControlTag, kProbe);
  if (!Ask(fd, probe, &answer, why)) return No("mux probe: " + *why, why);
  if (answer != probe) return No("mux probe: answered with " + Shown(answer), why);
  if (!Ask(fd, MuxMessage(kTinit, kControlTag, InitBody()), &answer, why)) {
    return No("Tinit: " + *why, why);
  }
  if (answer[kMuxTypeAt] != kRinit || Read<3>(answer.data() + kMuxTagAt) != kControlTag) {
    return No("Tinit: answered with " + Shown(answer), why);
  }
  const bool good = Agrees(std::string_view(answer).substr(kMuxHead), body, why);
  if (!good) *why = "Rinit: " + *why;
  return good;
}

bool AnswerMux(std::string_view message, std::string* out) {
  const char type = message[kMuxTypeAt];
  const uint32_t tag = Read<3>(message.data() + kMuxTagAt);
  const std::string_view body = message.substr(kMuxHead);
  if (type == kTdiscarded || type == kOldTdiscarded) return true;  // answered already
  if (tag > kMuxMaxTag) return false;
  if (IsProbe(message)) {
    *out += message;
  } else if (type == kTinit && body.size() >= 2 && Read<2>(body.data()) == kVersion) {
    *out += MuxMessage(kRinit, tag, InitBody());
  } else if (type == kTping && body.empty()) {
    *out += MuxMessage(kRping, tag, {});
  } else {
    return false;
  }
  return true;
}

}  // namespace trestle::bench
