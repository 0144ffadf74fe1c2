#include "memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

namespace emulation {

Memory& memory() {
  static auto* const made = new Memory;
  return *made;
}

Vram& vram_of(const Agent& agent) {
  Vram& vram = memory().vram[&agent];
  if (vram.base) return vram;
  vram.file = memfd_create("emulated-vram", MFD_CLOEXEC);
  const std::uint64_t bytes = machine().vram_bytes;
  void* where = MAP_FAILED;
  if (vram.file >= 0 && ftruncate(vram.file, static_cast<off_t>(bytes)) == 0) {
    where = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, vram.file, 0);
  }
  if (where == MAP_FAILED) fail("cannot make the memory of GPU %u: %s", agent.index, std::strerror(errno));
  vram.base = static_cast<char*>(where);
  return vram;
}

bool may_touch(const Agent& agent, const void* pointer) {
  if (!agent.gpu) return true;
  const std::lock_guard<std::mutex> lock(memory().mutex);
  const auto found = holding(memory().allocations, pointer);
  if (found == memory().allocations.end()) return true;
  if (found->second.origin != Origin::kReserved) return (found->second.access & access_of(agent)) != 0;
  const auto mapped = holding(memory().mappings, pointer);
  return mapped != memory().mappings.end() && (mapped->second.access & access_of(agent)) != 0;
}

namespace {

std::uint64_t pages(std::uint64_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }

void* take_vram(const Agent& agent, std::uint64_t bytes) {
  Vram& vram = vram_of(agent);
  std::uint64_t offset = 0;
  for (const auto& [start, length] : vram.taken) {
    if (start - offset >= bytes) break;
    offset = start + length;
  }
  if (offset + bytes > machine().vram_bytes) return nullptr;
  vram.taken[offset] = bytes;
  vram.used += bytes;
  return vram.base + offset;
}

void give_vram(const Agent& agent, void* pointer, std::uint64_t bytes) {
  Vram& vram = vram_of(agent);
  const std::uint64_t offset = number(pointer) - number(vram.base);
  vram.taken.erase(offset);
  vram.used -= bytes;
  fallocate(vram.file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
            static_cast<off_t>(bytes));
}

}  // namespace

std::uint32_t global_flags(const Pool& pool) {
  switch (pool.kind) {
    case PoolKind::kCoarse: return HSA_AMD_MEMORY_POOL_GLOBAL_FLAG_COARSE_GRAINED;
    case PoolKind::kFine: return HSA_AMD_MEMORY_POOL_GLOBAL_FLAG_FINE_GRAINED;
    case PoolKind::kFineKernarg:
      return HSA_AMD_MEMORY_POOL_GLOBAL_FLAG_FINE_GRAINED | HSA_AMD_MEMORY_POOL_GLOBAL_FLAG_KERNARG_INIT;
    case PoolKind::kExtendedFine: return HSA_AMD_MEMORY_POOL_GLOBAL_FLAG_EXTENDED_SCOPE_FINE_GRAINED;
    case PoolKind::kGroup: return 0;
  }
  return 0;
}

std::uint64_t vram_free(const Agent& agent) {
  const std::lock_guard<std::mutex> lock(memory().mutex);
  return machine().vram_bytes - memory().vram[&agent].used;
}

}  // namespace emulation

using namespace emulation;

extern "C" {

hsa_status_t hsa_amd_memory_pool_allocate(hsa_amd_memory_pool_t handle, size_t size, std::uint32_t,
                                          void** pointer) {
  const Pool* const pool = pool_of(handle);
  if (!pool || pool->kind == PoolKind::kGroup)
    return static_cast<hsa_status_t>(HSA_STATUS_ERROR_INVALID_MEMORY_POOL);
  if (size == 0) return HSA_STATUS_ERROR_INVALID_ARGUMENT;
  const std::uint64_t bytes = pages(size);
  const std::lock_guard<std::mutex> lock(memory().mutex);
  const bool gpu = pool->agent->gpu;
  void* made = nullptr;
  if (gpu) {
    made = take_vram(*pool->agent, bytes);
  } else {
    made = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (made == MAP_FAILED) made = nullptr;
  }
  if (!made) return HSA_STATUS_ERROR_OUT_OF_RESOURCES;
  // Memory of a GPU is its own until hsa_amd_agents_allow_access; the host's is within reach of every GPU.
  memory().allocations[number(made)] = {gpu ? Origin::kVram : Origin::kHost,       bytes,  pool, pool->agent,
                                        gpu ? access_of(*pool->agent) : kEveryGpu, nullptr};
  *pointer = made;
  return HSA_STATUS_SUCCESS;
}

hsa_status_t hsa_amd_memory_pool_free(void* pointer) {
  if (!pointer) return HSA_STATUS_SUCCESS;
  const std::lock_guard<std::mutex> lock(memory().mutex);
  const auto found = memory().allocations.find(number(pointer));
  if (found == memory().allocations.end()) return HSA_STATUS_ERROR_INVALID_ALLOCATION;
  const Allocation allocation = found->second;
  memory().allocations.erase(found);
  if (allocation.origin == Origin::kVram) {
    give_vram(*allocation.owner, pointer, allocation.bytes);
  } else {
    munmap(pointer, allocation.bytes);
  }
  return HSA_STATUS_SUCCESS;
}

// "Upon return, only the listed agents and the agent associated with the buffer's memory pool have direct
// access" (hsa_ext_amd.h).
hsa_status_t hsa_amd_agents_allow_access(std::uint32_t count, const hsa_agent_t* agents, const std::uint32_t*,
                                         const void* pointer) {
  Access access = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    const Agent* const agent = agent_of(agents[i]);
    if (!agent) return HSA_STATUS_ERROR_INVALID_AGENT;
    access |= access_of(*agent);
  }
  const std::lock_guard<std::mutex> lock(memory().mutex);
  const auto found = holding(memory().allocations, pointer);
  if (found == memory().allocations.end()) return HSA_STATUS_ERROR;
  Allocation& allocation = found->second;
  if (allocation.owner->gpu) allocation.access = access | access_of(*allocation.owner);
  return HSA_STATUS_SUCCESS;
}

hsa_status_t hsa_memory_register(void*, size_t) { return HSA_STATUS_SUCCESS; }
hsa_status_t hsa_memory_deregister(void*, size_t) { return HSA_STATUS_SUCCESS; }

hsa_status_t hsa_amd_memory_fill(void* pointer, std::uint32_t value, size_t count) {
  std::fill_n(static_cast<std::uint32_t*>(pointer), count, value);
  return HSA_STATUS_SUCCESS;
}

hsa_status_t hsa_memory_copy(void* to, const void* from, size_t size) {
  std::memmove(to, from, size);
  return HSA_STATUS_SUCCESS;
}

// Host memory is at the same address for every agent.
hsa_status_t hsa_amd_memory_lock_to_pool(void* host, size_t size, hsa_agent_t*, int,
                                         hsa_amd_memory_pool_t pool, std::uint32_t, void** agent_pointer) {
  const std::lock_guard<std::mutex> lock(memory().mutex);
  auto& all = memory().allocations;
  if (holding(all, host) == all.end()) {
    all[number(host)] = {Origin::kLocked, size, pool_of(pool), &machine().cpu, kEveryGpu, nullptr};
  }
  *agent_pointer = host;
  return HSA_STATUS_SUCCESS;
}

hsa_status_t hsa_amd_memory_lock(void* host, size_t size, hsa_agent_t* agents, int count,
                                 void** agent_pointer) {
  return hsa_amd_memory_lock_to_pool(host, size, agents, count, handle_of(machine().cpu.pools[0].get()), 0,
                                     agent_pointer);
}

hsa_status_t hsa_amd_memory_unlock(void* host) {
  const std::lock_guard<std::mutex> lock(memory().mutex);
  const auto found = memory().allocations.find(number(host));
  if (found != memory().allocations.end() && found->second.origin == Origin::kLocked)
    memory().allocations.erase(found);
  return HSA_STATUS_SUCCESS;
}
}
