// The virtual memory calls: a range of addresses, a file as physical memory, and a mapping of the one on the
// other.
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "memory.h"

using namespace emulation;

namespace {

// A handle and a mapping each hold it.
void give_up(Physical* physical) {
  if (--physical->references > 0) return;
  close(physical->file);
  delete physical;
}

}  // namespace

extern "C" {

hsa_status_t hsa_amd_vmem_address_reserve_align(void** address, size_t size, std::uint64_t,
                                                std::uint64_t alignment, std::uint64_t) {
  const std::uint64_t align = std::max<std::uint64_t>(alignment, kPage);
  char* const raw = static_cast<char*>(
      mmap(nullptr, size + align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  if (raw == MAP_FAILED) return HSA_STATUS_ERROR_OUT_OF_RESOURCES;
  char* const start = reinterpret_cast<char*>((number(raw) + align - 1) / align * align);
  if (start > raw) munmap(raw, static_cast<std::size_t>(start - raw));
  munmap(start + size, static_cast<std::size_t>(raw + align - start));
  const std::lock_guard<std::mutex> lock(memory().mutex);
  memory().allocations[number(start)] = {Origin::kReserved, size, nullptr, &machine().cpu, 0, nullptr};
  *address = start;
  return HSA_STATUS_SUCCESS;
}

hsa_status_t hsa_amd_vmem_address_reserve(void** address, size_t size, std::uint64_t wanted,
                                          std::uint64_t flags) {
  return hsa_amd_vmem_address_reserve_align(address, size, wanted, kPage, flags);
}

hsa_status_t hsa_amd_vmem_address_free(void* address, size_t size) {
  const std::lock_guard<std::mutex> lock(memory().mutex);
  if (memory().allocations.erase(number(address)) == 0) return HSA_STATUS_ERROR_INVALID_ALLOCATION;
  munmap(address, size);
  return HSA_STATUS_SUCCESS;
}

hsa_status_t hsa_amd_vmem_handle_create(hsa_amd_memory_pool_t pool, size_t size, hsa_amd_memory_type_t,
                                        std::uint64_t, hsa_amd_vmem_alloc_handle_t* handle) {
  const int file = memfd_create("emulated-physical", MFD_CLOEXEC);
  if (file < 0 || ftruncate(file, static_cast<off_t>(size)) != 0) return HSA_STATUS_ERROR_OUT_OF_RESOURCES;
  handle->handle = number(new Physical{file, size, pool_of(pool), 1});
  return HSA_STATUS_SUCCESS;
}

hsa_status_t hsa_amd_vmem_handle_release(hsa_amd_vmem_alloc_handle_t handle) {
  const std::lock_guard<std::mutex> lock(memory().mutex);
  give_up(reinterpret_cast<Physical*>(handle.handle));
  return HSA_STATUS_SUCCESS;
}

hsa_status_t hsa_amd_vmem_map(void* address, size_t size, size_t offset, hsa_amd_vmem_alloc_handle_t handle,
                              std::uint64_t) {
  const std::lock_guard<std::mutex> lock(memory().mutex);
  auto* const physical = reinterpret_cast<Physical*>(handle.handle);
  if (mmap(address, size, PROT_NONE, MAP_SHARED | MAP_FIXED, physical->file, static_cast<off_t>(offset)) ==
      MAP_FAILED) {
    return HSA_STATUS_ERROR_OUT_OF_RESOURCES;
  }
  ++physical->references;
  memory().mappings[number(address)] = {size, physical, 0};
  return HSA_STATUS_SUCCESS;
}

hsa_status_t hsa_amd_vmem_unmap(void* address, size_t size) {
  const std::lock_guard<std::mutex> lock(memory().mutex);
  const auto found = memory().mappings.find(number(address));
  if (found == memory().mappings.end()) return HSA_STATUS_ERROR_INVALID_ALLOCATION;
  mmap(address, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  give_up(found->second.physical);
  memory().mappings.erase(found);
  return HSA_STATUS_SUCCESS;
}

hsa_status_t hsa_amd_vmem_set_access(void* address, size_t size,
                                     const hsa_amd_memory_access_desc_t* described, size_t count) {
  const std::lock_guard<std::mutex> lock(memory().mutex);
  auto& mappings = memory().mappings;
  if (holding(mappings, address) == mappings.end()) return HSA_STATUS_ERROR_INVALID_ALLOCATION;
  // The pages are opened for this process whoever is named: its threads are the GPUs.
  if (mprotect(address, size, PROT_READ | PROT_WRITE) != 0) return HSA_STATUS_ERROR;
  for (auto at = holding(mappings, address); at != mappings.end() && at->first < number(address) + size;
       ++at) {
    for (size_t i = 0; i < count; ++i) {
      const Agent* const agent = agent_of(described[i].agent_handle);
      if (!agent) return HSA_STATUS_ERROR_INVALID_AGENT;
      if (described[i].permissions == HSA_ACCESS_PERMISSION_NONE) {
        at->second.access &= ~access_of(*agent);
      } else {
        at->second.access |= access_of(*agent);
      }
    }
  }
  return HSA_STATUS_SUCCESS;
}

hsa_status_t hsa_amd_vmem_get_access(void* address, hsa_access_permission_t* permission, hsa_agent_t handle) {
  const Agent* const agent = agent_of(handle);
  if (!agent) return HSA_STATUS_ERROR_INVALID_AGENT;
  const std::lock_guard<std::mutex> lock(memory().mutex);
  const auto found = holding(memory().mappings, address);
  if (found == memory().mappings.end()) return HSA_STATUS_ERROR_INVALID_ALLOCATION;
  const bool open = !agent->gpu || (found->second.access & access_of(*agent));
  *permission = open ? HSA_ACCESS_PERMISSION_RW : HSA_ACCESS_PERMISSION_NONE;
  return HSA_STATUS_SUCCESS;
}

hsa_status_t hsa_amd_vmem_export_shareable_handle(int* file, hsa_amd_vmem_alloc_handle_t handle,
                                                  std::uint64_t) {
  *file = dup(reinterpret_cast<Physical*>(handle.handle)->file);
  return *file < 0 ? HSA_STATUS_ERROR : HSA_STATUS_SUCCESS;
}

hsa_status_t hsa_amd_vmem_import_shareable_handle(int file, hsa_amd_vmem_alloc_handle_t* handle) {
  struct stat status;
  const int own = dup(file);
  if (own < 0 || fstat(own, &status) != 0) return HSA_STATUS_ERROR_INVALID_ARGUMENT;
  handle->handle = number(new Physical{own, static_cast<std::uint64_t>(status.st_size), nullptr, 1});
  return HSA_STATUS_SUCCESS;
}

hsa_status_t hsa_amd_vmem_retain_alloc_handle(hsa_amd_vmem_alloc_handle_t* handle, void* address) {
  const std::lock_guard<std::mutex> lock(memory().mutex);
  const auto found = memory().mappings.find(number(address));
  if (found == memory().mappings.end()) return HSA_STATUS_ERROR_INVALID_ALLOCATION;
  ++found->second.physical->references;
  handle->handle = number(found->second.physical);
  return HSA_STATUS_SUCCESS;
}
}
