// AMD's public HSA headers, and what those of ROCm 6.1 (the oldest that it is built with) do not have yet.
//
// Each number below is part of the binary interface; its source is hsa_ext_amd.h of 7.2.4, whose head says in
// which version of the AMD interface a part came; 6.1.2 has 1.4.
#pragma once

#include <hsa/amd_hsa_queue.h>
#include <hsa/amd_hsa_signal.h>
#include <hsa/hsa.h>
#include <hsa/hsa_ext_amd.h>

#include <cstdint>

namespace emulation {

// hsa_agent_get_info; in the header of 7.2.4, not in that of 6.1.2.
constexpr unsigned kAgentInfoScratchLimitMax = 0xA116;
constexpr unsigned kAgentInfoScratchLimitCurrent = 0xA117;

// hsa_amd_pointer_info: AMD interface 1.12.
constexpr auto kPointerReservedAddress = static_cast<hsa_amd_pointer_type_t>(5);

// hsa_amd_pointer_info_t as of AMD interface 1.13: `registered` was put behind global_flags.
struct PointerInfo {
  std::uint32_t size;
  hsa_amd_pointer_type_t type;
  void* agent_base;
  void* host_base;
  std::size_t bytes;
  void* user_data;
  hsa_agent_t owner;
  std::uint32_t global_flags;
  bool registered;
};
static_assert(sizeof(PointerInfo) >= sizeof(hsa_amd_pointer_info_t));

// What is after the first 256 bytes of a queue differs from version to version, and is read by nobody but a
// GPU's firmware; there is room for the largest, amd_queue_v2_t of ROCm 7.2.
struct SharedQueue {
  amd_queue_t head;
  char more[4096];
};

}  // namespace emulation
