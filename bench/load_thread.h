// LoadThread: one thread of the load driver: its share of the connections, the calls on them, and
// the check of every reply.
//
// Closed loop: each connection has `in_flight` calls out at all times; a reply makes the next call.
// Open loop: calls have their times, `rate` a second, whatever becomes of those before them; the
// latency of a call counts from its time, so that one that had to wait for a slow one shows it.
//
// Lifetime: of one run. Threading: Run() on its own thread; calls() and what is said to be from any
// thread meanwhile; the rest once Run() is over. Errors: counted, the first one kept as text; a
// connection with an error is closed and stays so, since a run with errors has no figures.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bench/echo_message.h"
#include "bench/free_slots.h"
#include "bench/latencies.h"

namespace trestle::bench {

struct LoadOptions {
  uint16_t port = 0;
  Dialect dialect = Dialect::kFramed;
  uint32_t payload_bytes = 64;
  uint32_t connections = 1;
  uint32_t in_flight = 1;  // calls on each connection, at most kMaxInFlight
  double rate = 0;         // calls a second; 0: closed loop
};
inline constexpr uint32_t kMaxInFlight = 4096;

class LoadThread {
 public:
  LoadThread(const LoadOptions& options, const EchoMessage* message);
  ~LoadThread();
  LoadThread(const LoadThread&) = delete;
  LoadThread& operator=(const LoadThread&) = delete;

  // Until Stop(), or until no connection is left.
  void Run();
  // From any thread.
  void Stop() { stop_ = true; }
  void CountLatencies(bool on) { counting_ = on; }
  bool over() const { return over_; }  // no connection is left
  uint64_t calls() const { return calls_.load(std::memory_order_relaxed); }  // with a right reply

  const Latencies& latencies() const { return latencies_; }
  uint64_t errors() const { return errors_; }
  const std::string& first_error() const { return first_error_; }

 private:
  struct Slot {
    uint32_t seqid = 0;
    bool busy = false;
    int64_t start = 0;
  };
  struct Connection {
    Connection(const EchoMessage* message, uint32_t in_flight)
        : slots(in_flight), free(in_flight), check(message) {}
    int fd = -1;
    std::vector<Slot> slots;
    FreeSlots free;
    uint32_t made = 0;  // calls so far
    std::string out;    // what the kernel did not take yet
    size_t out_at = 0;
    ReplyCheck check;
    bool queued = false;  // in ready_
  };

  void Open(Connection* c);
  bool Connect(Connection* c, std::string* why);
  void Fail(Connection* c, const std::string& why);
  void Call(Connection* c, int64_t start);
  void Flush(Connection* c);
  void Serve(Connection* c, uint32_t events);
  bool Take(Connection* c, std::string_view bytes);
  bool Finish(Connection* c, int64_t now);
  bool SlotOfReply(Connection* c, uint32_t* slot);
  void Wait();
  int64_t NextDue() const;
  void CallWhatIsDue();

  const LoadOptions options_;
  const EchoMessage* message_;
  const uint32_t slot_bits_;
  uint64_t trace_;
  int epoll_ = -1;
  uint32_t open_ = 0;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::deque<Connection*> ready_;  // open loop: those that have a free slot
  int64_t begin_ = 0;              // open loop: the time of the first call
  uint64_t sent_ = 0;
  std::vector<char> in_;
  Latencies latencies_;
  uint64_t errors_ = 0;
  std::string first_error_;
  std::atomic<uint64_t> calls_{0};
  std::atomic<bool> stop_{false}, counting_{false}, over_{false};
};

}  // namespace trestle::bench
