// What the runtime asks about memory pools, and which agent reaches which.
#include <cstdint>

#include "answers.h"
#include "hsa_interface.h"
#include "machine.h"
#include "memory.h"

using namespace emulation;

extern "C" {

hsa_status_t hsa_amd_agent_iterate_memory_pools(hsa_agent_t handle,
                                                hsa_status_t (*callback)(hsa_amd_memory_pool_t, void*),
                                                void* data) {
  const Agent* const agent = agent_of(handle);
  if (!agent) return HSA_STATUS_ERROR_INVALID_AGENT;
  for (const auto& pool : agent->pools) {
    const hsa_status_t status = callback(handle_of(pool.get()), data);
    if (status != HSA_STATUS_SUCCESS) return status;
  }
  return HSA_STATUS_SUCCESS;
}

hsa_status_t hsa_amd_memory_pool_get_info(hsa_amd_memory_pool_t handle, hsa_amd_memory_pool_info_t attribute,
                                          void* value) {
  const Pool* const pool = pool_of(handle);
  if (!pool) return static_cast<hsa_status_t>(HSA_STATUS_ERROR_INVALID_MEMORY_POOL);
  switch (attribute) {
    case HSA_AMD_MEMORY_POOL_INFO_SEGMENT:
      return put(value, pool->kind == PoolKind::kGroup ? HSA_AMD_SEGMENT_GROUP : HSA_AMD_SEGMENT_GLOBAL);
    case HSA_AMD_MEMORY_POOL_INFO_GLOBAL_FLAGS: return put<std::uint32_t>(value, global_flags(*pool));
    case HSA_AMD_MEMORY_POOL_INFO_SIZE: return put<std::size_t>(value, pool->bytes);
    case HSA_AMD_MEMORY_POOL_INFO_RUNTIME_ALLOC_ALLOWED: return put(value, pool->kind != PoolKind::kGroup);
    case HSA_AMD_MEMORY_POOL_INFO_RUNTIME_ALLOC_GRANULE:
    case HSA_AMD_MEMORY_POOL_INFO_RUNTIME_ALLOC_ALIGNMENT: return put<std::size_t>(value, 4096);
    case HSA_AMD_MEMORY_POOL_INFO_RUNTIME_ALLOC_REC_GRANULE: return put<std::size_t>(value, 2u << 20);
    case HSA_AMD_MEMORY_POOL_INFO_ACCESSIBLE_BY_ALL: return put(value, !pool->agent->gpu);
    case HSA_AMD_MEMORY_POOL_INFO_ALLOC_MAX_SIZE: return put<std::size_t>(value, pool->bytes);
    case HSA_AMD_MEMORY_POOL_INFO_LOCATION:
      return put(value,
                 pool->agent->gpu ? HSA_AMD_MEMORY_POOL_LOCATION_GPU : HSA_AMD_MEMORY_POOL_LOCATION_CPU);
  }
  return unknown("hsa_amd_memory_pool_get_info", attribute);
}

hsa_status_t hsa_amd_agent_memory_pool_get_info(hsa_agent_t agent_handle, hsa_amd_memory_pool_t pool_handle,
                                                hsa_amd_agent_memory_pool_info_t attribute, void* value) {
  const Agent* const agent = agent_of(agent_handle);
  const Pool* const pool = pool_of(pool_handle);
  if (!agent || !pool) return HSA_STATUS_ERROR_INVALID_ARGUMENT;
  const bool own = pool->agent == agent;
  switch (attribute) {
    case HSA_AMD_AGENT_MEMORY_POOL_INFO_ACCESS:
      return put(value, own || !pool->agent->gpu ? HSA_AMD_MEMORY_POOL_ACCESS_ALLOWED_BY_DEFAULT
                                                 : HSA_AMD_MEMORY_POOL_ACCESS_DISALLOWED_BY_DEFAULT);
    case HSA_AMD_AGENT_MEMORY_POOL_INFO_NUM_LINK_HOPS: return put<std::uint32_t>(value, own ? 0 : 1);
    case HSA_AMD_AGENT_MEMORY_POOL_INFO_LINK_INFO: {
      if (own) return HSA_STATUS_SUCCESS;
      hsa_amd_memory_pool_link_info_t link = {};
      link.max_bandwidth = 64000;
      link.atomic_support_32bit = link.atomic_support_64bit = link.coherent_support = true;
      link.link_type =
          agent->gpu && pool->agent->gpu ? HSA_AMD_LINK_INFO_TYPE_XGMI : HSA_AMD_LINK_INFO_TYPE_PCIE;
      link.numa_distance = agent->gpu && pool->agent->gpu ? 15 : 20;
      return put(value, link);
    }
  }
  return unknown("hsa_amd_agent_memory_pool_get_info", attribute);
}
}
