#include "queue.h"


#include <cstdlib>
#include <cstring>
#include <new>

#include "code_object.h"
#include "kernels.h"
#include "schedule.h"

namespace emulation {
namespace {

constexpr std::size_t kPacketBytes = 64;

union Packet {
  std::uint16_t header;
  hsa_kernel_dispatch_packet_t dispatch;
  hsa_barrier_and_packet_t barrier_and;
  hsa_barrier_or_packet_t barrier_or;
  hsa_amd_barrier_value_packet_t barrier_value;
};
static_assert(sizeof(Packet) == kPacketBytes);

unsigned type_of(std::uint16_t header) { return (header >> HSA_PACKET_HEADER_TYPE) & 0xff; }

Packet* slot(const Queue& queue, std::uint64_t index) {
  auto* const packets = static_cast<Packet*>(queue.shared.hsa_queue.base_address);
  return packets + (index & (queue.shared.hsa_queue.size - 1));
}

bool ready(const Queue& queue, std::uint64_t index) {
  return type_of(__atomic_load_n(&slot(queue, index)->header, __ATOMIC_ACQUIRE)) != HSA_PACKET_TYPE_INVALID;
}

bool wait_zero(Queue& queue, hsa_signal_t signal) {
  return signal.handle == 0 || wait_for(signal_of(signal), HSA_SIGNAL_CONDITION_EQ, 0, -1, &queue.stop);
}

void wait_all(Queue& queue, const hsa_barrier_and_packet_t& packet) {
  for (const hsa_signal_t signal : packet.dep_signal) {
    if (!wait_zero(queue, signal)) return;
  }
}

void wait_any(Queue& queue, const hsa_barrier_or_packet_t& packet) {
  for (;;) {
    bool some = false;
    for (const hsa_signal_t signal : packet.dep_signal) {
      if (signal.handle == 0) continue;
      some = true;
      if (value_of(signal_of(signal)) == 0) return;
    }
    if (!some || queue.stop) return;
    std::this_thread::yield();
  }
}

void dispatch(const hsa_kernel_dispatch_packet_t& packet) {
  const LoadedKernel* const kernel = kernel_at(packet.kernel_object);
  if (!kernel) fail("a dispatch of kernel object 0x%lx, which no executable holds", packet.kernel_object);
  const unsigned dimensions = packet.setup & 3;
  Launch launch = {};
  launch.threads = {packet.workgroup_size_x, packet.workgroup_size_y, packet.workgroup_size_z};
  launch.items = {packet.grid_size_x, dimensions > 1 ? packet.grid_size_y : 1,
                  dimensions > 2 ? packet.grid_size_z : 1};
  launch.kernarg = packet.kernarg_address;
  log("dispatch %s grid %u %u %u block %u", kernel->name.c_str(), launch.items.x, launch.items.y,
      launch.items.z, launch.threads.x);
  run_kernel(kernel->name, launch);
}

hsa_signal_t carry_out(Queue& queue, const Packet& packet) {
  switch (type_of(packet.header)) {
    case HSA_PACKET_TYPE_KERNEL_DISPATCH: dispatch(packet.dispatch); return packet.dispatch.completion_signal;
    case HSA_PACKET_TYPE_BARRIER_AND:
      wait_all(queue, packet.barrier_and);
      return packet.barrier_and.completion_signal;
    case HSA_PACKET_TYPE_BARRIER_OR:
      wait_any(queue, packet.barrier_or);
      return packet.barrier_or.completion_signal;
    case HSA_PACKET_TYPE_VENDOR_SPECIFIC: {
      const auto& barrier = packet.barrier_value;
      if (barrier.header.AmdFormat != HSA_AMD_PACKET_TYPE_BARRIER_VALUE) {
        fail("a vendor packet of format %u; only barrier-value is known", barrier.header.AmdFormat);
      }
      if (barrier.signal.handle != 0) {
        wait_for(signal_of(barrier.signal), static_cast<hsa_signal_condition_t>(barrier.cond), barrier.value,
                 barrier.mask, &queue.stop);
      }
      return barrier.completion_signal;
    }
  }
  fail("a packet of type %u", type_of(packet.header));
}

void note(const Queue& queue, std::uint64_t index, const Packet& packet) {
  if (!tracing()) return;
  const std::uint16_t header = packet.header;
  const unsigned type = type_of(header);
  const auto bits = [&](unsigned at, unsigned width) { return (header >> at) & ((1u << width) - 1); };
  const unsigned barrier = bits(HSA_PACKET_HEADER_BARRIER, 1);
  const unsigned acquire = bits(HSA_PACKET_HEADER_SCACQUIRE_FENCE_SCOPE, 2);
  const unsigned release = bits(HSA_PACKET_HEADER_SCRELEASE_FENCE_SCOPE, 2);
  const auto id = static_cast<unsigned long>(queue.shared.hsa_queue.id);
  if (type == HSA_PACKET_TYPE_KERNEL_DISPATCH) {
    const LoadedKernel* const kernel = kernel_at(packet.dispatch.kernel_object);
    const auto* const words = static_cast<const unsigned long*>(packet.dispatch.kernarg_address);
    trace("q%lu %lu K b%u a%u r%u sig %lx %s args %p: %lx %lx %lx", id, static_cast<unsigned long>(index), barrier, acquire,
          release, static_cast<unsigned long>(packet.dispatch.completion_signal.handle), kernel ? kernel->name.c_str() : "?",
          packet.dispatch.kernarg_address, words ? words[0] : 0, words ? words[1] : 0, words ? words[2] : 0);
  } else if (type == HSA_PACKET_TYPE_BARRIER_AND || type == HSA_PACKET_TYPE_BARRIER_OR) {
    const auto& deps = packet.barrier_and.dep_signal;
    trace("q%lu %lu %s b%u a%u r%u sig %lx deps %lx %lx %lx %lx %lx", id, static_cast<unsigned long>(index),
          type == HSA_PACKET_TYPE_BARRIER_AND ? "AND" : "OR", barrier, acquire, release,
          static_cast<unsigned long>(packet.barrier_and.completion_signal.handle), static_cast<unsigned long>(deps[0].handle),
          static_cast<unsigned long>(deps[1].handle), static_cast<unsigned long>(deps[2].handle),
          static_cast<unsigned long>(deps[3].handle), static_cast<unsigned long>(deps[4].handle));
  } else {
    trace("q%lu %lu V b%u a%u r%u sig %lx on %lx", id, static_cast<unsigned long>(index), barrier, acquire, release,
          static_cast<unsigned long>(packet.barrier_value.completion_signal.handle),
          static_cast<unsigned long>(packet.barrier_value.signal.handle));
  }
}

void drain(Queue& queue) {
  std::unique_lock<std::mutex> lock(queue.running_mutex);
  queue.drained.wait(lock, [&] { return queue.running == 0; });
}

// The dispatch may run from now on, at any time: the packet processor goes on to the next packet.
void start(Queue& queue, const hsa_kernel_dispatch_packet_t& packet) {
  {
    const std::lock_guard<std::mutex> lock(queue.running_mutex);
    ++queue.running;
  }
  later(some_delay(), [&queue, packet] {
    const std::uint64_t started = now_ns();
    dispatch(packet);
    later(some_delay(), [&queue, packet, started] {
      complete(packet.completion_signal, started);
      const std::lock_guard<std::mutex> lock(queue.running_mutex);
      --queue.running;
      queue.drained.notify_all();
    });
  });
}

void process(Queue& queue) {
  for (std::uint64_t index = 0;; ++index) {
    {
      std::unique_lock<std::mutex> lock(queue.mutex);
      queue.rung.wait(lock, [&] { return queue.stop || ready(queue, index); });
      if (queue.stop) return;
    }
    Packet packet;
    std::memcpy(&packet, slot(queue, index), sizeof packet);
    note(queue, index, packet);
    if (overlapping()) {
      linger();
      if ((packet.header >> HSA_PACKET_HEADER_BARRIER) & 1) drain(queue);
    }
    __atomic_store_n(&slot(queue, index)->header, HSA_PACKET_TYPE_INVALID << HSA_PACKET_HEADER_TYPE,
                     __ATOMIC_RELEASE);
    __atomic_store_n(&queue.shared.read_dispatch_id, index + 1, __ATOMIC_RELEASE);
    if (overlapping() && type_of(packet.header) == HSA_PACKET_TYPE_KERNEL_DISPATCH) {
      start(queue, packet.dispatch);
      continue;
    }
    const std::uint64_t started = now_ns();
    complete(carry_out(queue, packet), started);
  }
}

Queue* queue_of(const hsa_queue_t* queue) {
  return reinterpret_cast<Queue*>(const_cast<hsa_queue_t*>(queue));
}

}  // namespace

void ring(Queue& queue) {
  {
    const std::lock_guard<std::mutex> lock(queue.mutex);
  }
  queue.rung.notify_one();
}

}  // namespace emulation

using namespace emulation;

extern "C" {

hsa_status_t hsa_queue_create(hsa_agent_t agent, std::uint32_t size, hsa_queue_type32_t type,
                              void (*)(hsa_status_t, hsa_queue_t*, void*), void*, std::uint32_t,
                              std::uint32_t, hsa_queue_t** made) {
  static std::uint64_t last_id = 0;
  if (size == 0 || (size & (size - 1)) != 0) return HSA_STATUS_ERROR_INVALID_ARGUMENT;
  auto* const queue = new Queue{};
  void* const packets = std::aligned_alloc(4096, std::max<std::size_t>(4096, size * kPacketBytes));
  std::memset(packets, 0, size * kPacketBytes);
  for (std::uint32_t i = 0; i < size; ++i) static_cast<Packet*>(packets)[i].header = HSA_PACKET_TYPE_INVALID;
  queue->agent = agent_of(agent);
  queue->doorbell = make_signal(-1, queue);
  hsa_queue_t& shared = queue->shared.hsa_queue;
  shared.type = type;
  shared.features = HSA_QUEUE_FEATURE_KERNEL_DISPATCH;
  shared.base_address = packets;
  shared.doorbell_signal = handle_of(queue->doorbell);
  shared.size = size;
  shared.id = __atomic_add_fetch(&last_id, 1, __ATOMIC_RELAXED);
  // The upper halves of the addresses at which a GPU sees its group and private memory.
  queue->shared.group_segment_aperture_base_hi = 0x10000;
  queue->shared.private_segment_aperture_base_hi = 0x20000;
  queue->processor = std::thread(process, std::ref(*queue));
  log("queue %lu of GPU %u, %u packets", shared.id, queue->agent->index, size);
  *made = &shared;
  return HSA_STATUS_SUCCESS;
}

hsa_status_t hsa_queue_destroy(hsa_queue_t* handle) {
  Queue* const queue = queue_of(handle);
  queue->stop = true;
  ring(*queue);
  queue->processor.join();
  drain(*queue);
  release_signal(queue->doorbell);
  std::free(handle->base_address);
  delete queue;
  return HSA_STATUS_SUCCESS;
}

std::uint64_t hsa_queue_load_read_index_relaxed(const hsa_queue_t* queue) {
  return __atomic_load_n(&queue_of(queue)->shared.read_dispatch_id, __ATOMIC_RELAXED);
}

std::uint64_t hsa_queue_load_read_index_scacquire(const hsa_queue_t* queue) {
  return __atomic_load_n(&queue_of(queue)->shared.read_dispatch_id, __ATOMIC_ACQUIRE);
}

std::uint64_t hsa_queue_load_write_index_relaxed(const hsa_queue_t* queue) {
  return __atomic_load_n(&queue_of(queue)->shared.write_dispatch_id, __ATOMIC_RELAXED);
}

std::uint64_t hsa_queue_add_write_index_screlease(const hsa_queue_t* queue, std::uint64_t value) {
  return __atomic_fetch_add(&queue_of(queue)->shared.write_dispatch_id, value, __ATOMIC_RELEASE);
}

// Settings that change nothing here.
hsa_status_t hsa_amd_queue_set_priority(hsa_queue_t*, hsa_amd_queue_priority_t) { return HSA_STATUS_SUCCESS; }
hsa_status_t hsa_amd_queue_cu_set_mask(const hsa_queue_t*, std::uint32_t, const std::uint32_t*) {
  return HSA_STATUS_SUCCESS;
}
hsa_status_t hsa_amd_profiling_set_profiler_enabled(hsa_queue_t*, int) { return HSA_STATUS_SUCCESS; }
}
