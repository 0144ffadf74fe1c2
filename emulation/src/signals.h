// Signals: AMD's public layout, since the runtime reads the time stamps in it, on a shared board.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

#include "hsa_interface.h"

namespace emulation {

struct Queue;

// A doorbell belongs to a queue; every other signal has none.
struct Signal {
  amd_signal_t shared;
  Queue* queue;
};

inline Signal* signal_of(hsa_signal_t handle) { return reinterpret_cast<Signal*>(handle.handle); }
inline hsa_signal_t handle_of(const Signal* signal) { return {reinterpret_cast<std::uint64_t>(signal)}; }

Signal* make_signal(hsa_signal_value_t value, Queue* doorbell_of = nullptr);
void release_signal(Signal* signal);

hsa_signal_value_t value_of(const Signal* signal);
bool holds(hsa_signal_condition_t condition, hsa_signal_value_t have, hsa_signal_value_t want);

constexpr std::uint64_t kForever = ~std::uint64_t{0};

// Everyone who waits is told that a signal has changed.
void tell();

// Blocks until it is met; false where the time (of now_ns()) or `stop` came first.
bool wait_until(const std::function<bool()>& met, std::uint64_t deadline_ns, const std::atomic<bool>* stop);

// Blocks until the condition holds; false where `stop` became true first.
bool wait_for(const Signal* signal, hsa_signal_condition_t condition, hsa_signal_value_t want,
              hsa_signal_value_t mask, const std::atomic<bool>* stop);

// What a packet or a copy does when it is done: writes the times, then takes one off.
void complete(hsa_signal_t handle, std::uint64_t started_ns);

}  // namespace emulation
