// AQL queues: a thread each, which takes one packet after the other, as if every barrier bit were set; with
// HSA_STANDIN_OVERLAP, dispatches without that bit run in other orders too.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <map>
#include <mutex>
#include <thread>

#include "hsa_interface.h"
#include "machine.h"
#include "packets.h"
#include "signals.h"

namespace emulation {

// Dispatches of one queue that were launched and may begin later than those behind them.
class Held {
 public:
  // To begin once `lag` further packets were taken.
  void hold(Queue& queue, std::uint64_t index, const Packet& packet);
  // Those whose time has come when the packet of this index was taken, in the order of their times.
  void begin_due(Queue& queue, std::uint64_t index);
  void begin_all(Queue& queue) { begin_due(queue, UINT64_MAX); }
  // Begins all, and waits until every one is complete.
  void drain(Queue& queue);
  bool empty() const { return due_.empty(); }

 private:
  void begin(Queue& queue, std::uint64_t index, const Packet& packet);

  std::multimap<std::uint64_t, std::pair<std::uint64_t, Packet>> due_;  // of the processor's thread
  std::mutex mutex_;
  std::condition_variable changed_;
  unsigned incomplete_ = 0;
};

struct Queue {
  SharedQueue place;  // first: a hsa_queue_t pointer is a pointer to this
  Agent* agent;
  Signal* doorbell;
  std::mutex mutex;
  std::condition_variable rung;
  std::atomic<bool> stop;
  Held held;
  std::thread processor;

  amd_queue_t& shared() { return place.head; }
  std::uint64_t id() const { return place.head.hsa_queue.id; }
};

// The doorbell was written.
void ring(Queue& queue);

}  // namespace emulation
