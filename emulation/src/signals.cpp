#include "signals.h"

#include <algorithm>
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

// Calls every handler whose condition holds, outside of the lock; true where one was called.
bool call_due() {
  static std::uint64_t calls = 0;  // of the one thread of handlers
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
    linger(Actor::kHandler, 0, calls++);
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

void tell() {
  Board& all = board();
  if (all.waiting.load(std::memory_order_seq_cst) == 0) return;
  {
    const std::lock_guard<std::mutex> lock(all.mutex);
  }
  all.changed.notify_all();
}

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

bool wait_until(const std::function<bool()>& met, std::uint64_t deadline_ns, const std::atomic<bool>* stop) {
  if (met()) return true;
  Board& all = board();
  std::unique_lock<std::mutex> lock(all.mutex);
  all.waiting.fetch_add(1, std::memory_order_seq_cst);
  bool done = met();
  while (!done && !(stop && *stop)) {
    const std::uint64_t now = now_ns();
    if (now >= deadline_ns) break;
    const auto left = std::chrono::nanoseconds(std::min<std::uint64_t>(deadline_ns - now, 1'000'000'000));
    all.changed.wait_for(lock, std::min<std::chrono::nanoseconds>(kPoll, left));
    done = met();
  }
  all.waiting.fetch_sub(1, std::memory_order_seq_cst);
  return done;
}

bool wait_for(const Signal* signal, hsa_signal_condition_t condition, hsa_signal_value_t want,
              hsa_signal_value_t mask, const std::atomic<bool>* stop) {
  return wait_until([&] { return holds(condition, value_of(signal) & mask, want); }, kForever, stop);
}

void complete(hsa_signal_t handle, std::uint64_t started_ns) {
  if (handle.handle == 0) return;
  Signal* const signal = signal_of(handle);
  // Several packets may share a signal: the times are those of one of them.
  __atomic_store_n(&signal->shared.start_ts, started_ns, __ATOMIC_RELAXED);
  __atomic_store_n(&signal->shared.end_ts, now_ns(), __ATOMIC_RELAXED);
  __atomic_sub_fetch(&signal->shared.value, 1, __ATOMIC_SEQ_CST);
  tell();
}

}  // namespace emulation

using namespace emulation;

extern "C" hsa_status_t hsa_amd_signal_async_handler(hsa_signal_t signal, hsa_signal_condition_t condition,
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
