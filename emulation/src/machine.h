// The machine that is emulated: one CPU agent and N GPU agents with their pools.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "hsa_interface.h"

namespace emulation {

enum class PoolKind { kCoarse, kFine, kFineKernarg, kExtendedFine, kGroup };

struct Agent;

// A memory pool; its address is its handle.
struct Pool {
  Agent* agent;
  PoolKind kind;
  std::uint64_t bytes;
};

// An agent; its address is its handle. The agent also stands for its only ISA.
struct Agent {
  bool gpu;
  unsigned node;                     // 0 is the CPU, the GPUs follow
  unsigned index;                    // among the visible GPUs
  std::atomic<bool> faulted{false};  // it touched what it may not; it runs nothing more
  std::vector<std::unique_ptr<Pool>> pools;
};

struct Machine {
  std::string gfx;      // "gfx942"
  std::string isa;      // "amdgcn-amd-amdhsa--gfx942:sramecc+:xnack-"
  std::string product;  // what hipDeviceGetName answers
  std::uint64_t vram_bytes;
  Agent cpu;
  std::vector<std::unique_ptr<Agent>> gpus;
};

// As settings() describe it; made once.
Machine& machine();

Agent* agent_of(hsa_agent_t handle);  // nullptr for a handle that is none
Pool* pool_of(hsa_amd_memory_pool_t handle);
inline hsa_agent_t handle_of(const Agent* agent) { return {reinterpret_cast<std::uint64_t>(agent)}; }
inline hsa_amd_memory_pool_t handle_of(const Pool* pool) { return {reinterpret_cast<std::uint64_t>(pool)}; }

std::uint64_t now_ns();

// One line on stderr.
void say(const char* format, ...) __attribute__((format(printf, 1, 2)));
// The same, where HSA_STANDIN_LOG is set.
void log(const char* format, ...) __attribute__((format(printf, 1, 2)));
// One line on stderr, then abort: for what would otherwise be answered wrongly.
[[noreturn]] void fail(const char* format, ...) __attribute__((format(printf, 1, 2)));

}  // namespace emulation
