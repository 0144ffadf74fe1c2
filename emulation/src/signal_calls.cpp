// The calls on signals: create, read, write, wait, in every memory order that the interface names. Here they
// are all sequentially consistent, which satisfies each.
#include <sched.h>

#include <vector>

#include "machine.h"
#include "queue.h"
#include "signals.h"

using namespace emulation;

namespace {

// How long a wait stays awake before it blocks: most of what is waited for takes a few microseconds.
constexpr std::uint64_t kAwakeNs = 20'000;

hsa_signal_value_t* place(hsa_signal_t signal) {
  return const_cast<hsa_signal_value_t*>(&signal_of(signal)->shared.value);
}

void changed(hsa_signal_t signal) {
  if (signal_of(signal)->queue) {
    ring(*signal_of(signal)->queue);
  } else {
    tell();
  }
}

void store(hsa_signal_t signal, hsa_signal_value_t value) {
  __atomic_store_n(place(signal), value, __ATOMIC_SEQ_CST);
  changed(signal);
}

hsa_signal_value_t exchange(hsa_signal_t signal, hsa_signal_value_t value) {
  const hsa_signal_value_t before = __atomic_exchange_n(place(signal), value, __ATOMIC_SEQ_CST);
  changed(signal);
  return before;
}

hsa_signal_value_t swap_if(hsa_signal_t signal, hsa_signal_value_t expected, hsa_signal_value_t value) {
  __atomic_compare_exchange_n(place(signal), &expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
  changed(signal);
  return expected;
}

hsa_signal_value_t wait(hsa_signal_t handle, hsa_signal_condition_t condition, hsa_signal_value_t want,
                        std::uint64_t timeout) {
  const Signal* const signal = signal_of(handle);
  const auto met = [&] { return holds(condition, value_of(signal), want); };
  const std::uint64_t start = now_ns();
  const std::uint64_t end = timeout > kForever - start ? kForever : start + timeout;
  while (!met() && now_ns() < std::min(end, start + kAwakeNs)) sched_yield();
  wait_until(met, end, nullptr);
  return value_of(signal);
}

std::uint64_t started(hsa_signal_t signal) {
  return __atomic_load_n(&signal_of(signal)->shared.start_ts, __ATOMIC_RELAXED);
}

std::uint64_t ended(hsa_signal_t signal) {
  return __atomic_load_n(&signal_of(signal)->shared.end_ts, __ATOMIC_RELAXED);
}

// Index of the first signal whose condition holds, or `count`.
std::uint32_t first_met(std::uint32_t count, const hsa_signal_t* signals,
                        const hsa_signal_condition_t* conditions, const hsa_signal_value_t* wanted) {
  for (std::uint32_t i = 0; i < count; ++i) {
    if (signals[i].handle && holds(conditions[i], value_of(signal_of(signals[i])), wanted[i])) return i;
  }
  return count;
}

}  // namespace

#define IN_ORDER(order)                                                                           \
  void hsa_signal_add_##order(hsa_signal_t signal, hsa_signal_value_t value) {                    \
    __atomic_fetch_add(place(signal), value, __ATOMIC_SEQ_CST);                                   \
    changed(signal);                                                                              \
  }                                                                                               \
  void hsa_signal_subtract_##order(hsa_signal_t signal, hsa_signal_value_t value) {               \
    __atomic_fetch_sub(place(signal), value, __ATOMIC_SEQ_CST);                                   \
    changed(signal);                                                                              \
  }                                                                                               \
  void hsa_signal_and_##order(hsa_signal_t signal, hsa_signal_value_t value) {                    \
    __atomic_fetch_and(place(signal), value, __ATOMIC_SEQ_CST);                                   \
    changed(signal);                                                                              \
  }                                                                                               \
  void hsa_signal_or_##order(hsa_signal_t signal, hsa_signal_value_t value) {                     \
    __atomic_fetch_or(place(signal), value, __ATOMIC_SEQ_CST);                                    \
    changed(signal);                                                                              \
  }                                                                                               \
  void hsa_signal_xor_##order(hsa_signal_t signal, hsa_signal_value_t value) {                    \
    __atomic_fetch_xor(place(signal), value, __ATOMIC_SEQ_CST);                                   \
    changed(signal);                                                                              \
  }                                                                                               \
  hsa_signal_value_t hsa_signal_exchange_##order(hsa_signal_t signal, hsa_signal_value_t value) { \
    return exchange(signal, value);                                                               \
  }                                                                                               \
  hsa_signal_value_t hsa_signal_cas_##order(hsa_signal_t signal, hsa_signal_value_t expected,     \
                                            hsa_signal_value_t value) {                           \
    return swap_if(signal, expected, value);                                                      \
  }

#define LOAD(order) \
  hsa_signal_value_t hsa_signal_load_##order(hsa_signal_t signal) { return value_of(signal_of(signal)); }

#define STORE(name) \
  void hsa_signal_##name(hsa_signal_t signal, hsa_signal_value_t value) { store(signal, value); }

#define WAIT(order)                                                                                 \
  hsa_signal_value_t hsa_signal_wait_##order(hsa_signal_t signal, hsa_signal_condition_t condition, \
                                             hsa_signal_value_t want, std::uint64_t timeout,        \
                                             hsa_wait_state_t) {                                    \
    return wait(signal, condition, want, timeout);                                                  \
  }

extern "C" {

IN_ORDER(relaxed)
IN_ORDER(acquire)
IN_ORDER(release)
IN_ORDER(acq_rel)
IN_ORDER(scacquire)
IN_ORDER(screlease)
IN_ORDER(scacq_screl)
LOAD(relaxed)
LOAD(acquire)
LOAD(scacquire)
STORE(store_relaxed)
STORE(store_release)
STORE(store_screlease)
STORE(silent_store_relaxed)
STORE(silent_store_screlease)
WAIT(relaxed)
WAIT(acquire)
WAIT(scacquire)

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

hsa_status_t hsa_amd_signal_value_pointer(hsa_signal_t signal, volatile hsa_signal_value_t** value) {
  *value = place(signal);
  return HSA_STATUS_SUCCESS;
}

std::uint32_t hsa_amd_signal_wait_any(std::uint32_t count, hsa_signal_t* signals,
                                      hsa_signal_condition_t* conditions, hsa_signal_value_t* wanted,
                                      std::uint64_t timeout, hsa_wait_state_t, hsa_signal_value_t* value) {
  const std::uint64_t start = now_ns();
  std::uint32_t met = count;
  wait_until([&] { return (met = first_met(count, signals, conditions, wanted)) < count; },
             timeout > kForever - start ? kForever : start + timeout, nullptr);
  if (met == count) return UINT32_MAX;
  if (value) *value = value_of(signal_of(signals[met]));
  return met;
}

std::uint32_t hsa_amd_signal_wait_all(std::uint32_t count, hsa_signal_t* signals,
                                      hsa_signal_condition_t* conditions, hsa_signal_value_t* wanted,
                                      std::uint64_t timeout, hsa_wait_state_t, hsa_signal_value_t* values) {
  const std::uint64_t start = now_ns();
  const auto all_met = [&] {
    for (std::uint32_t i = 0; i < count; ++i) {
      if (signals[i].handle && first_met(1, signals + i, conditions + i, wanted + i) == 1) return false;
    }
    return true;
  };
  if (!wait_until(all_met, timeout > kForever - start ? kForever : start + timeout, nullptr))
    return UINT32_MAX;
  for (std::uint32_t i = 0; values && i < count; ++i) {
    if (signals[i].handle) values[i] = value_of(signal_of(signals[i]));
  }
  return 0;
}

hsa_status_t hsa_amd_profiling_get_dispatch_time(hsa_agent_t, hsa_signal_t signal,
                                                 hsa_amd_profiling_dispatch_time_t* time) {
  *time = {started(signal), ended(signal)};
  return HSA_STATUS_SUCCESS;
}

hsa_status_t hsa_amd_profiling_get_async_copy_time(hsa_signal_t signal,
                                                   hsa_amd_profiling_async_copy_time_t* time) {
  *time = {started(signal), ended(signal)};
  return HSA_STATUS_SUCCESS;
}

hsa_status_t hsa_amd_profiling_async_copy_enable(bool) { return HSA_STATUS_SUCCESS; }
hsa_status_t hsa_amd_profiling_convert_tick_to_system_domain(hsa_agent_t, std::uint64_t tick,
                                                             std::uint64_t* system) {
  *system = tick;  // agents count the nanoseconds of the system clock
  return HSA_STATUS_SUCCESS;
}
}

#undef LOAD
#undef STORE
