// Frames, fragments and pieces: however bytes are cut into slices, the same messages come out,
// those that a plain model says; what the Splitter makes of them is the same messages again.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "mux/joiner.h"
#include "mux/splitter.h"

namespace {

using namespace trestle::mux;  // NOLINT(google-build-using-namespace)
using trestle::base::Arena;
using trestle::base::Buffer;
using trestle::base::SeededRandom;
using trestle::base::Slice;

void Check(bool good) {
  if (!good) std::abort();
}

struct Message {
  Type type;
  uint32_t tag;
  std::string body;
  bool operator==(const Message&) const = default;
};

struct Run {
  std::vector<Message> messages;
  std::string why;  // of what ended it
  bool operator==(const Run&) const = default;
};

constexpr uint32_t kMaxFrame = 1u << 16;
constexpr Joiner::Bounds kBounds{300, 500, 4};

// The same, written without thought of cost.
class Model {
 public:
  // False: over a bound, or not to be joined.
  bool Take(const Frame& frame, Message* whole, bool* is_whole) {
    *is_whole = !frame.more;
    *whole = {frame.type, frame.tag, frame.body.ToString()};
    const bool split = frame.type == Type::kTdispatch || frame.type == Type::kRdispatch;
    if (!split) return !frame.more;
    auto it = parts_.find(frame.tag);
    if (it == parts_.end() && !frame.more) return true;
    if (it == parts_.end() && parts_.size() == kBounds.messages) return false;
    if (it != parts_.end() && it->second.type != frame.type) return false;
    const std::string all = (it == parts_.end() ? "" : it->second.body) + whole->body;
    if (all.size() > kBounds.message_bytes) return false;
    if (frame.more && bytes() + whole->body.size() > kBounds.all_bytes) return false;
    whole->body = all;
    parts_.erase(frame.tag);
    if (frame.more) parts_[frame.tag] = *whole;
    return true;
  }
  bool Drop(uint32_t tag) { return parts_.erase(tag) > 0; }
  size_t bytes() const {
    size_t sum = 0;
    for (const auto& [tag, part] : parts_) sum += part.body.size();
    return sum;
  }
  size_t messages() const { return parts_.size(); }

 private:
  std::map<uint32_t, Message> parts_;
};

// What one end of a session does with what it reads: true while it goes on.
bool TakeOne(Frame* frame, Joiner* joiner, Model* model, Run* run) {
  if (frame->type == Type::kTdiscarded) {
    const std::string body = frame->body.ToString();
    Discarded discarded;
    if (DecodeDiscarded(body, &discarded).outcome == Outcome::kOk) {
      Check(joiner->Drop(discarded.tag) == model->Drop(discarded.tag));
    }
  }
  Message whole;
  bool is_whole = false;
  const bool good = model->Take(*frame, &whole, &is_whole);
  const Outcome outcome = joiner->Take(frame);
  Check((outcome != Outcome::kMalformed) == good);
  if (!good) {
    Check(!joiner->why().empty());
    run->why = joiner->why();
    return false;
  }
  Check((outcome == Outcome::kOk) == is_whole);
  Check(joiner->bytes() == model->bytes() && joiner->messages() == model->messages());
  if (is_whole) {
    Check(whole == Message{frame->type, frame->tag, frame->body.ToString()});
    run->messages.push_back(whole);
  }
  return true;
}

// `cut` tells the bytes of the next slice.
template <class CutFunction>
Run Feed(std::string_view bytes, CutFunction cut) {
  Run run;
  FrameDecoder decoder(kMaxFrame);
  Joiner joiner(kBounds);
  Model model;
  Arena arena(1024);
  Buffer in;
  while (!bytes.empty()) {
    const size_t n = std::min<size_t>(bytes.size(), cut());
    Slice slice =
        n > 1000 ? Slice::Copy(bytes.substr(0, n)) : arena.Allot(static_cast<uint32_t>(n));
    bytes.copy(slice.data(), n);
    bytes.remove_prefix(n);
    in.Append(std::move(slice));
    Frame frame;
    Outcome outcome = Outcome::kOk;
    while ((outcome = decoder.Next(&in, &frame)) == Outcome::kOk) {
      if (!TakeOne(&frame, &joiner, &model, &run)) return run;
    }
    if (outcome == Outcome::kMalformed) {
      Check(!decoder.why().empty());
      run.why = decoder.why();
      return run;
    }
    Check(decoder.missing() > 0 || in.size() < 4);
  }
  return run;
}

// All messages through a Splitter, added and taken in any order, some dropped; joined again.
void CheckSplit(const std::vector<Message>& messages, SeededRandom* random) {
  Splitter splitter;
  splitter.set_piece(1 + random->Below(random->Below(4) == 0 ? 400 : 40));
  Arena arena(1024);
  std::map<uint32_t, Message> sent;  // by a tag of ours, as tags of what was read may be the same
  Joiner joiner{Joiner::Bounds{}};
  FrameDecoder decoder(kMaxFrame);
  size_t added = 0;
  while (added < messages.size() || !splitter.empty()) {
    if (added < messages.size() && (splitter.empty() || random->Below(3) == 0)) {
      const auto tag = static_cast<uint32_t>(added);
      const Message& message = messages[added++];
      sent[tag] = message;
      splitter.Add(message.type, tag, Buffer::Copy(message.body));
    } else if (random->Below(20) == 0) {
      const uint32_t tag = random->Below(static_cast<uint32_t>(added));
      bool begun = false;
      if (!splitter.Drop(tag, &begun)) continue;
      Check(joiner.Drop(tag) == begun);
      sent.erase(tag);
    } else {
      Buffer out = splitter.Next(&arena);
      Frame frame;
      Check(decoder.Next(&out, &frame) == Outcome::kOk && out.empty());
      Check(frame.body.size() <= splitter.piece() || !MayBeSplit(frame.type));
      Check(!frame.more || frame.body.size() == splitter.piece());
      if (joiner.Take(&frame) != Outcome::kOk) continue;
      Check(sent.at(frame.tag).type == frame.type);
      Check(sent.at(frame.tag).body == frame.body.ToString());
      sent.erase(frame.tag);
    }
  }
  Check(sent.empty() && joiner.empty() && splitter.bytes() == 0);
}

}  // namespace

// The first two bytes are a seed.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const size_t held = trestle::base::Block::BytesOnThread();
  SeededRandom random(1 + data[0] * 256u + data[1]);
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  const Run whole = Feed(bytes, [&] { return bytes.size(); });
  const uint32_t most = 1 + random.Below(random.Below(2) == 0 ? 6 : 60);
  Check(whole == Feed(bytes, [&] { return 1 + random.Below(most); }));
  CheckSplit(whole.messages, &random);
  Check(trestle::base::Block::BytesOnThread() == held);
  return 0;
}
