// The HSA calls that nearly every test begins with: agents, pools, queues, kernels.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "code_object.h"
#include "hsa_interface.h"
#include "testing.h"

inline void begin() { CHECK_EQUAL(hsa_init(), HSA_STATUS_SUCCESS); }

// The CPU first, then the GPUs.
inline std::vector<hsa_agent_t> agents() {
  std::vector<hsa_agent_t> found;
  const auto add = [](hsa_agent_t agent, void* data) {
    static_cast<std::vector<hsa_agent_t>*>(data)->push_back(agent);
    return HSA_STATUS_SUCCESS;
  };
  CHECK_EQUAL(hsa_iterate_agents(add, &found), HSA_STATUS_SUCCESS);
  return found;
}

inline hsa_agent_t cpu() { return agents().at(0); }
inline hsa_agent_t gpu(std::size_t index) { return agents().at(index + 1); }

// From the agent's first pool.
template <class T = int>
T* allocate(hsa_agent_t agent, std::size_t count) {
  std::vector<hsa_amd_memory_pool_t> pools;
  const auto add = [](hsa_amd_memory_pool_t pool, void* data) {
    static_cast<std::vector<hsa_amd_memory_pool_t>*>(data)->push_back(pool);
    return HSA_STATUS_SUCCESS;
  };
  CHECK_EQUAL(hsa_amd_agent_iterate_memory_pools(agent, add, &pools), HSA_STATUS_SUCCESS);
  void* made = nullptr;
  CHECK_EQUAL(hsa_amd_memory_pool_allocate(pools.at(0), count * sizeof(T), 0, &made), HSA_STATUS_SUCCESS);
  return static_cast<T*>(made);
}

inline hsa_signal_t signal(hsa_signal_value_t value = 1) {
  hsa_signal_t made;
  CHECK_EQUAL(hsa_signal_create(value, 0, nullptr, &made), HSA_STATUS_SUCCESS);
  return made;
}

// Blocks until it is zero; false after some seconds.
inline bool reaches_zero(hsa_signal_t signal, std::uint64_t timeout_ns = 20'000'000'000) {
  return hsa_signal_wait_scacquire(signal, HSA_SIGNAL_CONDITION_EQ, 0, timeout_ns, HSA_WAIT_STATE_BLOCKED) ==
         0;
}

// The kernel "add" of tests/kernels.cpp, and its arguments.
inline const std::vector<KernelArgument> kAdd = {{0, 8, "global_buffer"}, {8, 4, "by_value"}};

struct Add {
  int* place;
  int value;
};

// The kernel object of a kernel, in a code object of its own.
inline std::uint64_t kernel(hsa_agent_t agent, const std::string& name,
                            const std::vector<KernelArgument>& arguments) {
  const auto* const file = new std::vector<char>(code_object_of({{name, arguments}}));
  hsa_code_object_reader_t reader;
  CHECK_EQUAL(hsa_code_object_reader_create_from_memory(file->data(), file->size(), &reader),
              HSA_STATUS_SUCCESS);
  hsa_executable_t executable;
  hsa_executable_create_alt(HSA_PROFILE_BASE, HSA_DEFAULT_FLOAT_ROUNDING_MODE_NEAR, nullptr, &executable);
  CHECK_EQUAL(hsa_executable_load_agent_code_object(executable, agent, reader, nullptr, nullptr),
              HSA_STATUS_SUCCESS);
  hsa_executable_symbol_t symbol;
  CHECK_EQUAL(hsa_executable_get_symbol_by_name(executable, (name + ".kd").c_str(), &agent, &symbol),
              HSA_STATUS_SUCCESS);
  std::uint64_t object = 0;
  hsa_executable_symbol_get_info(symbol, HSA_EXECUTABLE_SYMBOL_INFO_KERNEL_OBJECT, &object);
  delete file;
  return object;
}

constexpr std::uint16_t header_of(hsa_packet_type_t type, bool barrier) {
  return static_cast<std::uint16_t>(type << HSA_PACKET_HEADER_TYPE | barrier << HSA_PACKET_HEADER_BARRIER);
}

// A queue as the runtime uses it: packets are written, their headers last, and the doorbell is rung.
class TestQueue {
 public:
  explicit TestQueue(hsa_agent_t agent, std::uint32_t size = 256) {
    CHECK_EQUAL(hsa_queue_create(agent, size, HSA_QUEUE_TYPE_MULTI, nullptr, nullptr, 0, 0, &queue_),
                HSA_STATUS_SUCCESS);
  }
  ~TestQueue() { hsa_queue_destroy(queue_); }

  template <class Packet>
  void write(Packet packet) {
    static_assert(sizeof packet == 64);
    const std::uint64_t index = hsa_queue_add_write_index_screlease(queue_, 1);
    char* const slot = static_cast<char*>(queue_->base_address) + index % queue_->size * 64;
    std::uint16_t header;
    std::memcpy(&header, &packet, sizeof header);
    std::memcpy(slot + 2, reinterpret_cast<char*>(&packet) + 2, 62);
    __atomic_store_n(reinterpret_cast<std::uint16_t*>(slot), header, __ATOMIC_RELEASE);
  }

  void ring() {
    hsa_signal_store_screlease(
        queue_->doorbell_signal,
        static_cast<hsa_signal_value_t>(hsa_queue_load_write_index_relaxed(queue_)) - 1);
  }

  // The arguments must live until the kernel has run.
  void dispatch(std::uint64_t object, void* arguments, hsa_signal_t done = {0}, bool barrier = true,
                std::uint32_t items = 1, std::uint16_t block = 1, std::uint32_t group_bytes = 0) {
    hsa_kernel_dispatch_packet_t packet = {};
    packet.header = header_of(HSA_PACKET_TYPE_KERNEL_DISPATCH, barrier);
    packet.setup = 1;
    packet.workgroup_size_x = block;
    packet.workgroup_size_y = packet.workgroup_size_z = 1;
    packet.grid_size_x = items;
    packet.grid_size_y = packet.grid_size_z = 1;
    packet.group_segment_size = group_bytes;
    packet.kernel_object = object;
    packet.kernarg_address = arguments;
    packet.completion_signal = done;
    write(packet);
  }

  void wait_for(hsa_packet_type_t type, const std::vector<hsa_signal_t>& before, hsa_signal_t done = {0},
                bool barrier = true) {
    hsa_barrier_and_packet_t packet = {};  // barrier-OR has the same layout
    packet.header = header_of(type, barrier);
    for (std::size_t i = 0; i < before.size(); ++i) packet.dep_signal[i] = before[i];
    packet.completion_signal = done;
    write(packet);
  }

 private:
  hsa_queue_t* queue_;
};
