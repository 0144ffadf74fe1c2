#include "signals.h"

#include <sched.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <list>
#include <mutex>
#include <thread>
#include <vector>

#include "machine.h"
#include "queue.h"
#include "schedule.h"

namespace emulation {
namespace {

using namespace std::chrono_literals;

// Everyone who waits for a signal waits here. A signal may also be written past this library, by
// its value pointer, so no wait is longer than kPoll without a look.
constexpr auto kPoll = 1ms;

struct Handler {
  Signal* signal;
  hsa_signal_condition_t condition;
  hsa_signal_value_t want;
  hsa_amd_signal_handler function;
  void* argument;
};

struct Board {
  std::mutex mutex;
  std::condition_variable changed;
  std::atomic<int> waiting{0};

  std::mutex pool_mutex;
  std::vector<Signal*> pool;  // never given back: a late look at a destroyed signal must be harmless

  std::mutex handler_mutex;
  std::list<Handler> handlers;
  std::atomic<int> handler_count{0};
  bool handler_thread = false;
};

Board& board() {
  static auto* const made = new Board;  // outlives every thread
  return *made;
}

volatile std::int64_t* place(Signal* signal) { return &signal->shared.value; }

void tell() {
  Board& all = board();
  if (all.waiting.load(std::memory_order_seq_cst) == 0) return;
  {
    const std::lock_guard<std::mutex> lock(all.mutex);
  }
  all.changed.notify_all();
}

void store(Signal* signal, hsa_signal_value_t value) {
  __atomic_store_n(place(signal), value, __ATOMIC_SEQ_CST);
  if (signal->queue) {
    ring(*signal->queue);
  } else {
    tell();
  }
}

void add(Signal* signal, hsa_signal_value_t value) {
  __atomic_add_fetch(place(signal), value, __ATOMIC_SEQ_CST);
  tell();
}

// Calls every handler whose condition holds, outside of the lock; true where one was called.
bool call_due() {
  Board& all = board();
  std::list<Handler> due;
  {
    const std::lock_guard<std::mutex> lock(all.handler_mutex);
    for (auto at = all.handlers.begin(); at != all.handlers.end();) {
      const auto here = at++;
      if (!here->signal || holds(here->condition, value_of(here->signal), here->want)) {
        due.splice(due.end(), all.handlers, here);
      }
    }
    all.handler_count -= static_cast<int>(due.size());
  }
  for (const Handler& handler : due) {
    linger();
    const hsa_signal_value_t value = handler.signal ? value_of(handler.signal) : 0;
    if (handler.function(value, handler.argument)) {
      const std::lock_guard<std::mutex> lock(all.handler_mutex);
      all.handlers.push_back(handler);
      ++all.handler_count;
    }
  }
  return !due.empty();
}

void run_handlers() {
  Board& all = board();
  for (;;) {
    if (call_due()) continue;
    std::unique_lock<std::mutex> lock(all.mutex);
    all.waiting.fetch_add(1, std::memory_order_seq_cst);
    all.changed.wait_for(lock, all.handler_count > 0 ? std::chrono::milliseconds(kPoll) : 50ms);
    all.waiting.fetch_sub(1, std::memory_order_seq_cst);
  }
}

}  // namespace

Signal* make_signal(hsa_signal_value_t value, Queue* doorbell_of) {
  Board& all = board();
  Signal* signal = nullptr;
  {
    const std::lock_guard<std::mutex> lock(all.pool_mutex);
    if (!all.pool.empty()) {
      signal = all.pool.back();
      all.pool.pop_back();
    }
  }
  if (!signal) signal = new Signal;
  *signal = {};
  signal->shared.kind = doorbell_of ? AMD_SIGNAL_KIND_DOORBELL : AMD_SIGNAL_KIND_USER;
  signal->shared.value = value;
  signal->queue = doorbell_of;
  return signal;
}

void release_signal(Signal* signal) {
  const std::lock_guard<std::mutex> lock(board().pool_mutex);
  board().pool.push_back(signal);
}

hsa_signal_value_t value_of(const Signal* signal) {
  return __atomic_load_n(&signal->shared.value, __ATOMIC_SEQ_CST);
}

bool holds(hsa_signal_condition_t condition, hsa_signal_value_t have, hsa_signal_value_t want) {
  switch (condition) {
    case HSA_SIGNAL_CONDITION_EQ: return have == want;
    case HSA_SIGNAL_CONDITION_NE: return have != want;
    case HSA_SIGNAL_CONDITION_LT: return have < want;
    case HSA_SIGNAL_CONDITION_GTE: return have >= want;
  }
  fail("signal condition %d is unknown", condition);
}

bool wait_for(const Signal* signal, hsa_signal_condition_t condition, hsa_signal_value_t want,
              hsa_signal_value_t mask, const volatile bool* stop) {
  const auto met = [&] { return holds(condition, value_of(signal) & mask, want); };
  if (met()) return true;
  Board& all = board();
  std::unique_lock<std::mutex> lock(all.mutex);
  all.waiting.fetch_add(1, std::memory_order_seq_cst);
  bool done = met();
  while (!done && !(stop && *stop)) {
    all.changed.wait_for(lock, kPoll);
    done = met();
  }
  all.waiting.fetch_sub(1, std::memory_order_seq_cst);
  return done;
}

void complete(hsa_signal_t handle, std::uint64_t started_ns) {
  if (handle.handle == 0) return;
  Signal* const signal = signal_of(handle);
  signal->shared.start_ts = started_ns;
  signal->shared.end_ts = now_ns();
  add(signal, -1);
}

}  // namespace emulation

using namespace emulation;

extern "C" {

hsa_status_t hsa_signal_create(hsa_signal_value_t value, std::uint32_t, const hsa_agent_t*,
                               hsa_signal_t* signal) {
  *signal = handle_of(make_signal(value));
  return HSA_STATUS_SUCCESS;
}

hsa_status_t hsa_amd_signal_create(hsa_signal_value_t value, std::uint32_t, const hsa_agent_t*, std::uint64_t,
                                   hsa_signal_t* signal) {
  *signal = handle_of(make_signal(value));
  return HSA_STATUS_SUCCESS;
}

hsa_status_t hsa_signal_destroy(hsa_signal_t signal) {
  if (signal.handle == 0) return HSA_STATUS_ERROR_INVALID_SIGNAL;
  release_signal(signal_of(signal));
  return HSA_STATUS_SUCCESS;
}

hsa_signal_value_t hsa_signal_load_relaxed(hsa_signal_t signal) { return value_of(signal_of(signal)); }
void hsa_signal_store_relaxed(hsa_signal_t signal, hsa_signal_value_t value) {
  store(signal_of(signal), value);
}
void hsa_signal_store_screlease(hsa_signal_t signal, hsa_signal_value_t value) {
  store(signal_of(signal), value);
}
void hsa_signal_silent_store_relaxed(hsa_signal_t signal, hsa_signal_value_t value) {
  store(signal_of(signal), value);
}
void hsa_signal_add_relaxed(hsa_signal_t signal, hsa_signal_value_t value) { add(signal_of(signal), value); }
void hsa_signal_subtract_relaxed(hsa_signal_t signal, hsa_signal_value_t value) {
  add(signal_of(signal), -value);
}

hsa_signal_value_t hsa_signal_wait_scacquire(hsa_signal_t handle, hsa_signal_condition_t condition,
                                             hsa_signal_value_t want, std::uint64_t timeout,
                                             hsa_wait_state_t) {
  Signal* const signal = signal_of(handle);
  if (holds(condition, value_of(signal), want)) return value_of(signal);
  if (timeout == UINT64_MAX) {
    wait_for(signal, condition, want, -1, nullptr);
    return value_of(signal);
  }
  const std::uint64_t end = now_ns() + timeout;
  while (!holds(condition, value_of(signal), want) && now_ns() < end) sched_yield();
  return value_of(signal);
}

hsa_status_t hsa_amd_signal_value_pointer(hsa_signal_t signal, volatile hsa_signal_value_t** value) {
  *value = &signal_of(signal)->shared.value;
  return HSA_STATUS_SUCCESS;
}

hsa_status_t hsa_amd_signal_async_handler(hsa_signal_t signal, hsa_signal_condition_t condition,
                                          hsa_signal_value_t want, hsa_amd_signal_handler function,
                                          void* argument) {
  Board& all = board();
  {
    const std::lock_guard<std::mutex> lock(all.handler_mutex);
    all.handlers.push_back(
        {signal.handle ? signal_of(signal) : nullptr, condition, want, function, argument});
    ++all.handler_count;
    if (!all.handler_thread) {
      all.handler_thread = true;
      std::thread(run_handlers).detach();
    }
  }
  tell();
  return HSA_STATUS_SUCCESS;
}

hsa_status_t hsa_amd_profiling_get_dispatch_time(hsa_agent_t, hsa_signal_t signal,
                                                 hsa_amd_profiling_dispatch_time_t* time) {
  *time = {signal_of(signal)->shared.start_ts, signal_of(signal)->shared.end_ts};
  return HSA_STATUS_SUCCESS;
}

hsa_status_t hsa_amd_profiling_get_async_copy_time(hsa_signal_t signal,
                                                   hsa_amd_profiling_async_copy_time_t* time) {
  *time = {signal_of(signal)->shared.start_ts, signal_of(signal)->shared.end_ts};
  return HSA_STATUS_SUCCESS;
}

hsa_status_t hsa_amd_profiling_async_copy_enable(bool) { return HSA_STATUS_SUCCESS; }
}
