// GPU memory for other processes: IPC handles, and file descriptors in place of dma-bufs.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "memory.h"

using namespace emulation;

namespace {

// What the 32 bytes of an IPC handle hold: where another process finds the pages.
struct IpcHandle {
  std::uint32_t pid;
  std::int32_t file;
  std::uint64_t offset;
  std::uint64_t bytes;
  std::uint32_t gpu;
  std::uint32_t check;
};
static_assert(sizeof(IpcHandle) == sizeof(hsa_amd_ipc_memory_t));
constexpr std::uint32_t kIpcCheck = 0x48534131;

}  // namespace

extern "C" {

hsa_status_t hsa_amd_ipc_memory_create(void* pointer, size_t, hsa_amd_ipc_memory_t* handle) {
  const std::lock_guard<std::mutex> lock(memory().mutex);
  const auto found = holding(memory().allocations, pointer);
  if (found == memory().allocations.end() || found->second.origin != Origin::kVram)
    return HSA_STATUS_ERROR_INVALID_ARGUMENT;
  const Agent& owner = *found->second.owner;
  const Vram& vram = vram_of(owner);
  const IpcHandle made = {static_cast<std::uint32_t>(getpid()),
                          vram.file,
                          found->first - number(vram.base),
                          found->second.bytes,
                          owner.index,
                          kIpcCheck};
  std::memcpy(handle, &made, sizeof made);
  return HSA_STATUS_SUCCESS;
}

hsa_status_t hsa_amd_ipc_memory_attach(const hsa_amd_ipc_memory_t* handle, size_t, std::uint32_t count,
                                       const hsa_agent_t* agents, void** mapped) {
  IpcHandle given;
  std::memcpy(&given, handle, sizeof given);
  if (given.check != kIpcCheck || given.gpu >= machine().gpus.size())
    return HSA_STATUS_ERROR_INVALID_ARGUMENT;
  // Only the agents named may touch it here; all of them where none is named.
  Access access = count ? 0 : kEveryGpu;
  for (std::uint32_t i = 0; i < count; ++i) {
    const Agent* const agent = agent_of(agents[i]);
    if (!agent) return HSA_STATUS_ERROR_INVALID_AGENT;
    access |= access_of(*agent);
  }
  char path[64];
  std::snprintf(path, sizeof path, "/proc/%u/fd/%d", given.pid, given.file);
  const int file = open(path, O_RDWR | O_CLOEXEC);
  if (file < 0) return HSA_STATUS_ERROR_INVALID_ARGUMENT;
  void* const where =
      mmap(nullptr, given.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, static_cast<off_t>(given.offset));
  close(file);
  if (where == MAP_FAILED) return HSA_STATUS_ERROR_OUT_OF_RESOURCES;
  const std::lock_guard<std::mutex> lock(memory().mutex);
  const Agent* const owner = machine().gpus[given.gpu].get();
  memory().allocations[number(where)] = {Origin::kIpc, given.bytes, owner->pools[0].get(),
                                         owner,        access,      nullptr};
  *mapped = where;
  return HSA_STATUS_SUCCESS;
}

hsa_status_t hsa_amd_ipc_memory_detach(void* mapped) {
  const std::lock_guard<std::mutex> lock(memory().mutex);
  const auto found = memory().allocations.find(number(mapped));
  if (found == memory().allocations.end() || found->second.origin != Origin::kIpc)
    return HSA_STATUS_ERROR_INVALID_ARGUMENT;
  munmap(mapped, found->second.bytes);
  memory().allocations.erase(found);
  return HSA_STATUS_SUCCESS;
}

hsa_status_t hsa_amd_portable_export_dmabuf(const void* pointer, size_t, int* file, std::uint64_t* offset) {
  const std::lock_guard<std::mutex> lock(memory().mutex);
  const auto found = holding(memory().allocations, pointer);
  if (found == memory().allocations.end() || found->second.origin != Origin::kVram)
    return HSA_STATUS_ERROR_INVALID_ALLOCATION;
  const Vram& vram = vram_of(*found->second.owner);
  *file = dup(vram.file);
  *offset = number(pointer) - number(vram.base);
  return HSA_STATUS_SUCCESS;
}

// The third argument of the second version says how the link is used, which makes no difference here.
hsa_status_t hsa_amd_portable_export_dmabuf_v2(const void* pointer, size_t size, int* file,
                                               std::uint64_t* offset, std::uint64_t) {
  return hsa_amd_portable_export_dmabuf(pointer, size, file, offset);
}

hsa_status_t hsa_amd_portable_close_dmabuf(int file) {
  return close(file) == 0 ? HSA_STATUS_SUCCESS : HSA_STATUS_ERROR_INVALID_ARGUMENT;
}
}
