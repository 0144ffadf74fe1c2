// What the runtime asks about an agent and its ISA. The numbers are those of an MI300X, where one is public.
#include <cstdint>
#include <cstdio>
#include <cstring>

#include "answers.h"
#include "hsa_interface.h"
#include "machine.h"
#include "memory.h"

using namespace emulation;

namespace {

hsa_status_t put_uuid(const Agent& agent, void* value) {
  char text[21];
  std::snprintf(text, sizeof text, "%s-%016x", agent.gpu ? "GPU" : "CPU", 0x57a9d100 + agent.node);
  std::memcpy(value, text, sizeof text);
  return HSA_STATUS_SUCCESS;
}

}  // namespace

extern "C" {

hsa_status_t hsa_agent_get_info(hsa_agent_t handle, hsa_agent_info_t attribute, void* value) {
  const Agent* const agent = agent_of(handle);
  if (!agent) return HSA_STATUS_ERROR_INVALID_AGENT;
  const bool gpu = agent->gpu;
  switch (static_cast<unsigned>(attribute)) {
    case HSA_AGENT_INFO_NAME: return put_text(value, 64, gpu ? machine().gfx : "CPU");
    case HSA_AGENT_INFO_VENDOR_NAME: return put_text(value, 64, gpu ? "AMD" : "CPU");
    case HSA_AGENT_INFO_FEATURE:
      return put(value, gpu ? HSA_AGENT_FEATURE_KERNEL_DISPATCH : hsa_agent_feature_t(0));
    case HSA_AGENT_INFO_MACHINE_MODEL: return put(value, HSA_MACHINE_MODEL_LARGE);
    case HSA_AGENT_INFO_PROFILE: return put(value, gpu ? HSA_PROFILE_BASE : HSA_PROFILE_FULL);
    case HSA_AGENT_INFO_WAVEFRONT_SIZE: return put<std::uint32_t>(value, 64);
    case HSA_AGENT_INFO_WORKGROUP_MAX_DIM: {
      const std::uint16_t most[3] = {1024, 1024, 1024};
      std::memcpy(value, most, sizeof most);
      return HSA_STATUS_SUCCESS;
    }
    case HSA_AGENT_INFO_WORKGROUP_MAX_SIZE: return put<std::uint32_t>(value, 1024);
    case HSA_AGENT_INFO_GRID_MAX_DIM: return put(value, hsa_dim3_t{INT32_MAX, 65535, 65535});
    case HSA_AGENT_INFO_GRID_MAX_SIZE: return put<std::uint32_t>(value, UINT32_MAX);
    case HSA_AGENT_INFO_QUEUES_MAX: return put<std::uint32_t>(value, 128);
    case HSA_AGENT_INFO_QUEUE_MIN_SIZE: return put<std::uint32_t>(value, 64);
    case HSA_AGENT_INFO_QUEUE_MAX_SIZE: return put<std::uint32_t>(value, 131072);
    case HSA_AGENT_INFO_QUEUE_TYPE: return put(value, HSA_QUEUE_TYPE_MULTI);
    case HSA_AGENT_INFO_NODE: return put<std::uint32_t>(value, agent->node);
    case HSA_AGENT_INFO_DEVICE: return put(value, gpu ? HSA_DEVICE_TYPE_GPU : HSA_DEVICE_TYPE_CPU);
    case HSA_AGENT_INFO_CACHE_SIZE: {
      const std::uint32_t sizes[4] = {32u << 10, 4u << 20, 256u << 20, 0};
      std::memcpy(value, sizes, sizeof sizes);
      return HSA_STATUS_SUCCESS;
    }
    case HSA_AGENT_INFO_ISA: return put<hsa_isa_t>(value, {handle.handle});
    case HSA_AGENT_INFO_EXTENSIONS: std::memset(value, 0, 128); return HSA_STATUS_SUCCESS;
    case HSA_AGENT_INFO_VERSION_MAJOR: return put<std::uint16_t>(value, 1);
    case HSA_AGENT_INFO_VERSION_MINOR: return put<std::uint16_t>(value, 1);
    case HSA_AMD_AGENT_INFO_CHIP_ID: return put<std::uint32_t>(value, gpu ? 0x74a1 : 0);
    case HSA_AMD_AGENT_INFO_CACHELINE_SIZE: return put<std::uint32_t>(value, gpu ? 128 : 64);
    case HSA_AMD_AGENT_INFO_COMPUTE_UNIT_COUNT:
    case HSA_AMD_AGENT_INFO_COOPERATIVE_COMPUTE_UNIT_COUNT: return put<std::uint32_t>(value, gpu ? 304 : 2);
    case HSA_AMD_AGENT_INFO_MAX_CLOCK_FREQUENCY: return put<std::uint32_t>(value, 2100);
    case HSA_AMD_AGENT_INFO_DRIVER_NODE_ID: return put<std::uint32_t>(value, agent->node);
    case HSA_AMD_AGENT_INFO_MAX_ADDRESS_WATCH_POINTS: return put<std::uint32_t>(value, 4);
    case HSA_AMD_AGENT_INFO_BDFID: return put<std::uint32_t>(value, agent->node << 8);
    case HSA_AMD_AGENT_INFO_MEMORY_WIDTH: return put<std::uint32_t>(value, 8192);
    case HSA_AMD_AGENT_INFO_MEMORY_MAX_FREQUENCY: return put<std::uint32_t>(value, 1300);
    case HSA_AMD_AGENT_INFO_PRODUCT_NAME: return put_text(value, 64, gpu ? machine().product : "CPU");
    case HSA_AMD_AGENT_INFO_MAX_WAVES_PER_CU: return put<std::uint32_t>(value, 32);
    case HSA_AMD_AGENT_INFO_NUM_SIMDS_PER_CU: return put<std::uint32_t>(value, 4);
    case HSA_AMD_AGENT_INFO_NUM_SHADER_ENGINES: return put<std::uint32_t>(value, 32);
    case HSA_AMD_AGENT_INFO_NUM_SHADER_ARRAYS_PER_SE: return put<std::uint32_t>(value, 1);
    case HSA_AMD_AGENT_INFO_HDP_FLUSH: return put(value, hsa_amd_hdp_flush_t{});
    case HSA_AMD_AGENT_INFO_DOMAIN: return put<std::uint32_t>(value, 0);
    case HSA_AMD_AGENT_INFO_COOPERATIVE_QUEUES:
      return put<std::uint32_t>(value, 1);  // a bool, read as 4 bytes
    case HSA_AMD_AGENT_INFO_UUID: return put_uuid(*agent, value);
    case HSA_AMD_AGENT_INFO_ASIC_REVISION: return put<std::uint32_t>(value, 1);
    case HSA_AMD_AGENT_INFO_SVM_DIRECT_HOST_ACCESS: return put<std::uint32_t>(value, 0);
    case HSA_AMD_AGENT_INFO_MEMORY_AVAIL: return put<std::uint64_t>(value, vram_free(*agent));
    case HSA_AMD_AGENT_INFO_TIMESTAMP_FREQUENCY: return put<std::uint64_t>(value, 100'000'000);
    case HSA_AMD_AGENT_INFO_ASIC_FAMILY_ID: return put<std::uint32_t>(value, 0);
    case HSA_AMD_AGENT_INFO_UCODE_VERSION: return put<std::uint32_t>(value, 0);
    case HSA_AMD_AGENT_INFO_SDMA_UCODE_VERSION: return put<std::uint32_t>(value, 0);
    case HSA_AMD_AGENT_INFO_NUM_SDMA_ENG: return put<std::uint32_t>(value, 2);
    case HSA_AMD_AGENT_INFO_NUM_SDMA_XGMI_ENG: return put<std::uint32_t>(value, 14);
    case HSA_AMD_AGENT_INFO_IOMMU_SUPPORT: return put(value, HSA_IOMMU_SUPPORT_NONE);
    case HSA_AMD_AGENT_INFO_NUM_XCC: return put<std::uint32_t>(value, 8);
    case HSA_AMD_AGENT_INFO_DRIVER_UID: return put<std::uint32_t>(value, agent->node);
    case HSA_AMD_AGENT_INFO_NEAREST_CPU: return put(value, handle_of(&machine().cpu));
    case HSA_AMD_AGENT_INFO_MEMORY_PROPERTIES: std::memset(value, 0, 8); return HSA_STATUS_SUCCESS;
    case HSA_AMD_AGENT_INFO_AQL_EXTENSIONS: std::memset(value, 0, 8); return HSA_STATUS_SUCCESS;
    case kAgentInfoScratchLimitMax: return put<std::uint64_t>(value, 4ull << 30);
    case kAgentInfoScratchLimitCurrent: return put<std::uint64_t>(value, 140ull << 20);
  }
  return unknown("hsa_agent_get_info", attribute);
}

hsa_status_t hsa_agent_iterate_isas(hsa_agent_t agent, hsa_status_t (*callback)(hsa_isa_t, void*),
                                    void* data) {
  return callback({agent.handle}, data);
}

hsa_status_t hsa_isa_get_info_alt(hsa_isa_t, hsa_isa_info_t attribute, void* value) {
  const std::string& name = machine().isa;
  switch (attribute) {
    case HSA_ISA_INFO_NAME_LENGTH: return put<std::uint32_t>(value, static_cast<std::uint32_t>(name.size()));
    case HSA_ISA_INFO_NAME: std::memcpy(value, name.data(), name.size()); return HSA_STATUS_SUCCESS;
    default: return unknown("hsa_isa_get_info_alt", attribute);
  }
}
}
