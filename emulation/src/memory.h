// Memory: each GPU's is one sparse file in memory, so that other processes can map it; the rest is plain.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>

#include "machine.h"

namespace emulation {

constexpr std::uint64_t kPage = 4096;

// One GPU's memory: a file without a name, mapped whole, of which only touched pages exist.
struct Vram {
  int file = -1;
  char* base = nullptr;
  std::uint64_t used = 0;
  std::map<std::uint64_t, std::uint64_t> taken;  // offset to bytes
};

enum class Origin { kVram, kHost, kLocked, kIpc, kReserved };

struct Allocation {
  Origin origin;
  std::uint64_t bytes;
  const Pool* pool;  // of a locked range: the CPU's
  const Agent* owner;
  void* user_data;
};

struct Memory {
  std::mutex mutex;
  std::map<const Agent*, Vram> vram;
  std::map<std::uint64_t, Allocation> allocations;  // by address
};

// All of it; whoever looks inside holds its mutex.
Memory& memory();

// Made at first use.
Vram& vram_of(const Agent& agent);

// The allocation that holds the address, or the end.
std::map<std::uint64_t, Allocation>::iterator holding(const void* pointer);

inline std::uint64_t number(const void* pointer) { return reinterpret_cast<std::uint64_t>(pointer); }

std::uint32_t global_flags(const Pool& pool);
std::uint64_t vram_free(const Agent& agent);

}  // namespace emulation
