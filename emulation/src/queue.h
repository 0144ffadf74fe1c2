// AQL queues: a thread each, which takes one packet after the other, as if every barrier bit were set; with
// HSA_STANDIN_OVERLAP, dispatches without that bit overlap those before them.
#pragma once

#include "hsa_interface.h"

#include <condition_variable>
#include <mutex>
#include <thread>

#include "machine.h"
#include "signals.h"

namespace emulation {

struct Queue {
  SharedQueue place;  // first: a hsa_queue_t pointer is a pointer to this
  amd_queue_t& shared = place.head;
  Agent* agent;
  Signal* doorbell;
  std::mutex mutex;
  std::condition_variable rung;
  volatile bool stop;
  std::mutex running_mutex;
  std::condition_variable drained;
  unsigned running;  // dispatches that were started and are not complete
  std::thread processor;
};

// The doorbell was written.
void ring(Queue& queue);

}  // namespace emulation
