// RecordingOwner: a Connection's owner that keeps what it was told, and does what a test hooks in.
#pragma once

#include <algorithm>
#include <functional>
#include <string>

#include "net/connection.h"

namespace trestle::net {

struct RecordingOwner final : Connection::Owner {
  void OnBytes(base::Buffer* in) override {
    offers++;
    if (take) {
      base::Buffer bytes = in->Split(std::min(take_at_most, in->size()));
      got += bytes.ToString();
    }
    if (on_bytes) on_bytes(in);
  }
  void OnEnd() override {
    ends++;
    if (on_end) on_end();
  }
  void OnEndAhead() override { ahead++; }
  void OnGone(const base::Status& status) override {
    gone++;
    why = status;
  }
  bool ReadsRest() override { return reads_rest; }
  void OnFlushed() override { flushed++; }
  void OnClosed() override { closed++; }
  int told() const { return offers + ends + ahead + gone + flushed + closed; }

  bool take = true;
  bool reads_rest = false;
  size_t take_at_most = ~size_t{0};
  std::function<void(base::Buffer*)> on_bytes;
  std::function<void()> on_end;
  std::string got;
  base::Status why;
  int offers = 0, ends = 0, ahead = 0, gone = 0, flushed = 0, closed = 0;
};

}  // namespace trestle::net
