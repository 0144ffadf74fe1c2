// Memory: each GPU's is one sparse file in memory, so that other processes can map it; the rest is plain.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>

#include "machine.h"

namespace emulation {

constexpr std::uint64_t kPage = 4096;

// The GPUs that may touch a range: one bit each, by index.
using Access = std::uint32_t;
constexpr Access kEveryGpu = ~Access{0};
inline Access access_of(const Agent& agent) { return agent.gpu ? Access{1} << agent.index : 0; }

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
  const Pool* pool;  // of a locked range: the CPU's; nullptr for a reserved one
  const Agent* owner;
  Access access;
  void* user_data;
};

// Physical memory of the virtual memory calls, and where it is mapped.
struct Physical {
  int file;
  std::uint64_t bytes;
  const Pool* pool;
  int references;
};

struct Mapping {
  std::uint64_t bytes;
  Physical* physical;
  Access access;
};

struct Memory {
  std::mutex mutex;
  std::map<const Agent*, Vram> vram;
  std::map<std::uint64_t, Allocation> allocations;  // by address
  std::map<std::uint64_t, Mapping> mappings;        // by address, inside reserved allocations
};

// All of it; whoever looks inside holds its mutex.
Memory& memory();

// Made at first use.
Vram& vram_of(const Agent& agent);

inline std::uint64_t number(const void* pointer) { return reinterpret_cast<std::uint64_t>(pointer); }

// The entry of a map by address that holds the address, or the end.
template <class Entry>
auto holding(std::map<std::uint64_t, Entry>& entries, const void* pointer) {
  auto after = entries.upper_bound(number(pointer));
  if (after == entries.begin()) return entries.end();
  --after;
  return number(pointer) < after->first + after->second.bytes ? after : entries.end();
}

// False where the GPU would fault at this address. What is not known here (memory of malloc, of a code
// object, of the stack) is not judged: true.
bool may_touch(const Agent& agent, const void* pointer);

std::uint32_t global_flags(const Pool& pool);
std::uint64_t vram_free(const Agent& agent);

}  // namespace emulation
