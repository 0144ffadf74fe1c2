#include "faults.h"

#include <cstdlib>
#include <cstring>
#include <mutex>
#include <vector>

#include "memory.h"

namespace emulation {
namespace {

struct FaultHandler {
  hsa_amd_system_event_callback_t function;
  void* data;
};

struct Handlers {
  std::mutex mutex;
  std::vector<FaultHandler> all;
};

Handlers& handlers() {
  static auto* const made = new Handlers;
  return *made;
}

}  // namespace

std::optional<const void*> forbidden(const Agent& agent, const void* start, std::size_t bytes) {
  if (bytes == 0) return std::nullopt;
  if (!may_touch(agent, start)) return start;
  const void* const last = static_cast<const char*>(start) + bytes - 1;
  if (!may_touch(agent, last)) return last;
  return std::nullopt;
}

std::optional<const void*> forbidden(const Agent& agent, const LoadedKernel& kernel, const void* kernarg) {
  constexpr std::uint64_t kWord = sizeof(void*);
  for (const Argument& argument : kernel.arguments) {
    const std::uint64_t end = argument.offset + argument.bytes;
    for (std::uint64_t at = (argument.offset + kWord - 1) / kWord * kWord; at + kWord <= end; at += kWord) {
      const void* pointer;
      std::memcpy(&pointer, static_cast<const char*>(kernarg) + at, sizeof pointer);
      if (!may_touch(agent, pointer)) return pointer;
    }
  }
  return std::nullopt;
}

void report_fault(Agent& agent, const void* address, const char* what) {
  agent.faulted = true;
  say("memory access fault: %s on GPU %u touched %p, to which this GPU was given no access "
      "(hipDeviceEnablePeerAccess, hsa_amd_agents_allow_access)",
      what, agent.index, address);
  hsa_amd_event_t event = {};
  event.event_type = HSA_AMD_GPU_MEMORY_FAULT_EVENT;
  event.memory_fault.agent = handle_of(&agent);
  event.memory_fault.virtual_address = number(address) / kPage * kPage;
  event.memory_fault.fault_reason_mask = HSA_AMD_MEMORY_FAULT_PAGE_NOT_PRESENT;
  std::vector<FaultHandler> told;
  {
    const std::lock_guard<std::mutex> lock(handlers().mutex);
    told = handlers().all;
  }
  bool handled = false;
  for (const FaultHandler& handler : told) handled |= handler.function(&event, handler.data) == HSA_STATUS_SUCCESS;
  if (!handled) std::abort();
}

}  // namespace emulation

using namespace emulation;

extern "C" hsa_status_t hsa_amd_register_system_event_handler(hsa_amd_system_event_callback_t function,
                                                              void* data) {
  const std::lock_guard<std::mutex> lock(handlers().mutex);
  handlers().all.push_back({function, data});
  return HSA_STATUS_SUCCESS;
}
