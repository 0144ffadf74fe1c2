// What the runtime asks about the system: versions, clocks, extensions, which agents there are.
#include <hsa/hsa_ven_amd_loader.h>

#include <cstdio>
#include <cstring>

#include "answers.h"
#include "machine.h"
#include "settings.h"

using namespace emulation;

#define EMULATION_VERSION "1"

namespace {

hsa_status_t query_host_address(const void* device, const void** host) {
  *host = device;
  return HSA_STATUS_SUCCESS;
}

}  // namespace

extern "C" {

const char* hsa_standin_version() { return EMULATION_VERSION; }

hsa_status_t hsa_init() {
  if (!settings().problem.empty()) {
    say("%s", settings().problem.c_str());
    return HSA_STATUS_ERROR;
  }
  // As the real runtime does on a host without a GPU.
  return machine().gpus.empty() ? HSA_STATUS_ERROR_OUT_OF_RESOURCES : HSA_STATUS_SUCCESS;
}

hsa_status_t hsa_shut_down() { return HSA_STATUS_SUCCESS; }

hsa_status_t hsa_status_string(hsa_status_t status, const char** text) {
  static thread_local char buffer[32];
  std::snprintf(buffer, sizeof buffer, "HSA status 0x%x", static_cast<unsigned>(status));
  *text = buffer;
  return HSA_STATUS_SUCCESS;
}

hsa_status_t hsa_system_get_info(hsa_system_info_t attribute, void* value) {
  switch (static_cast<unsigned>(attribute)) {
    case HSA_SYSTEM_INFO_VERSION_MAJOR: return put<std::uint16_t>(value, 1);
    case HSA_SYSTEM_INFO_VERSION_MINOR: return put<std::uint16_t>(value, 18);
    case HSA_SYSTEM_INFO_TIMESTAMP: return put<std::uint64_t>(value, now_ns());
    case HSA_SYSTEM_INFO_TIMESTAMP_FREQUENCY: return put<std::uint64_t>(value, 1'000'000'000);
    case HSA_SYSTEM_INFO_SIGNAL_MAX_WAIT: return put<std::uint64_t>(value, UINT64_MAX);
    case HSA_SYSTEM_INFO_ENDIANNESS: return put(value, HSA_ENDIANNESS_LITTLE);
    case HSA_SYSTEM_INFO_MACHINE_MODEL: return put(value, HSA_MACHINE_MODEL_LARGE);
    case HSA_AMD_SYSTEM_INFO_BUILD_VERSION: return put<const char*>(value, "emulation " EMULATION_VERSION);
    case HSA_AMD_SYSTEM_INFO_SVM_SUPPORTED: return put(value, false);
    case HSA_AMD_SYSTEM_INFO_SVM_ACCESSIBLE_BY_DEFAULT: return put(value, false);
    case HSA_AMD_SYSTEM_INFO_MWAITX_ENABLED: return put(value, false);
    case HSA_AMD_SYSTEM_INFO_DMABUF_SUPPORTED: return put(value, true);
    case HSA_AMD_SYSTEM_INFO_VIRTUAL_MEM_API_SUPPORTED: return put(value, true);
    case HSA_AMD_SYSTEM_INFO_XNACK_ENABLED: return put(value, false);
    case HSA_AMD_SYSTEM_INFO_EXT_VERSION_MAJOR: return put<std::uint16_t>(value, 1);
    case HSA_AMD_SYSTEM_INFO_EXT_VERSION_MINOR: return put<std::uint16_t>(value, 15);
  }
  return unknown("hsa_system_get_info", attribute);
}

hsa_status_t hsa_system_extension_supported(std::uint16_t extension, std::uint16_t, std::uint16_t,
                                            bool* result) {
  *result = extension == HSA_EXTENSION_AMD_LOADER;
  return HSA_STATUS_SUCCESS;
}

hsa_status_t hsa_agent_extension_supported(std::uint16_t extension, hsa_agent_t, std::uint16_t, std::uint16_t,
                                           bool* result) {
  *result = extension == HSA_EXTENSION_AMD_LOADER;
  return HSA_STATUS_SUCCESS;
}

hsa_status_t hsa_system_get_major_extension_table(std::uint16_t extension, std::uint16_t, size_t length,
                                                  void* table) {
  std::memset(table, 0, length);
  if (extension != HSA_EXTENSION_AMD_LOADER) {
    log("extension table %u was asked for; there is none", extension);
    return HSA_STATUS_ERROR;
  }
  hsa_ven_amd_loader_1_00_pfn_t functions = {};
  functions.hsa_ven_amd_loader_query_host_address = query_host_address;
  std::memcpy(table, &functions, std::min(length, sizeof functions));
  return HSA_STATUS_SUCCESS;
}

hsa_status_t hsa_iterate_agents(hsa_status_t (*callback)(hsa_agent_t, void*), void* data) {
  hsa_status_t status = callback(handle_of(&machine().cpu), data);
  for (const auto& gpu : machine().gpus) {
    if (status != HSA_STATUS_SUCCESS) return status;
    status = callback(handle_of(gpu.get()), data);
  }
  return status;
}

// Settings that change nothing here.
hsa_status_t hsa_amd_coherency_set_type(hsa_agent_t, hsa_amd_coherency_type_t) { return HSA_STATUS_SUCCESS; }
hsa_status_t hsa_amd_agent_set_async_scratch_limit(hsa_agent_t, size_t) { return HSA_STATUS_SUCCESS; }
hsa_status_t hsa_amd_enable_logging(std::uint8_t*, void*) { return HSA_STATUS_SUCCESS; }
}
