// What the runtime asks about a pointer: whose memory it is, and which agents reach it.
#include <algorithm>
#include <cstring>
#include <vector>

#include "memory.h"

using namespace emulation;

namespace {

hsa_amd_pointer_type_t type_of(Origin origin) {
  switch (origin) {
    case Origin::kLocked: return HSA_EXT_POINTER_TYPE_LOCKED;
    case Origin::kIpc: return HSA_EXT_POINTER_TYPE_IPC;
    case Origin::kReserved: return kPointerReservedAddress;
    case Origin::kVram:
    case Origin::kHost: break;
  }
  return HSA_EXT_POINTER_TYPE_HSA;
}

std::vector<hsa_agent_t> reaching(const Allocation& allocation) {
  std::vector<hsa_agent_t> agents;
  if (!allocation.owner->gpu) agents.push_back(handle_of(&machine().cpu));
  for (const auto& gpu : machine().gpus) {
    if (allocation.access & access_of(*gpu)) agents.push_back(handle_of(gpu.get()));
  }
  return agents;
}

}  // namespace

extern "C" {

hsa_status_t hsa_amd_pointer_info(const void* pointer, hsa_amd_pointer_info_t* info,
                                  void* (*allocate)(size_t), std::uint32_t* accessible_count,
                                  hsa_agent_t** accessible) {
  PointerInfo answer = {};
  answer.size = std::min<std::uint32_t>(info->size, sizeof answer);
  answer.type = HSA_EXT_POINTER_TYPE_UNKNOWN;
  std::vector<hsa_agent_t> agents;
  {
    const std::lock_guard<std::mutex> lock(memory().mutex);
    const auto found = holding(memory().allocations, pointer);
    if (found != memory().allocations.end()) {
      const auto& [address, allocation] = *found;
      answer.type = type_of(allocation.origin);
      answer.agent_base = answer.host_base = reinterpret_cast<void*>(address);
      answer.bytes = allocation.bytes;
      answer.user_data = allocation.user_data;
      answer.owner = handle_of(allocation.owner);
      answer.global_flags = allocation.pool ? global_flags(*allocation.pool) : 0;
      answer.registered = true;
      agents = reaching(allocation);
    }
  }
  std::memcpy(info, &answer, answer.size);
  if (allocate && accessible_count && accessible) {
    *accessible_count = static_cast<std::uint32_t>(agents.size());
    *accessible = static_cast<hsa_agent_t*>(allocate(sizeof(hsa_agent_t) * agents.size()));
    std::copy(agents.begin(), agents.end(), *accessible);
  }
  return HSA_STATUS_SUCCESS;
}

hsa_status_t hsa_amd_pointer_info_set_userdata(const void* pointer, void* user_data) {
  const std::lock_guard<std::mutex> lock(memory().mutex);
  const auto found = holding(memory().allocations, pointer);
  if (found == memory().allocations.end()) return HSA_STATUS_ERROR_INVALID_ARGUMENT;
  found->second.user_data = user_data;
  return HSA_STATUS_SUCCESS;
}
}
