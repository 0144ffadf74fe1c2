#include "queue.h"

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

#include "memory.h"
#include "schedule.h"

namespace emulation {
namespace {

// A dispatch that runs longer than this overlaps those behind it; a shorter one is waited for, so that the
// order of a seed is the order in which the kernels run.
constexpr auto kLong = std::chrono::milliseconds(50);

Packet* slot(const Queue& queue, std::uint64_t index) {
  auto* const packets = static_cast<Packet*>(queue.place.head.hsa_queue.base_address);
  return packets + (index & (queue.place.head.hsa_queue.size - 1));
}

bool ready(const Queue& queue, std::uint64_t index) {
  return type_of(__atomic_load_n(&slot(queue, index)->header, __ATOMIC_ACQUIRE)) != HSA_PACKET_TYPE_INVALID;
}

// Blocks until there is a packet; false where the queue was stopped. Held dispatches begin where none comes.
bool await_packet(Queue& queue, std::uint64_t index) {
  std::unique_lock<std::mutex> lock(queue.mutex);
  const auto come = [&] { return queue.stop || ready(queue, index); };
  if (!queue.held.empty()) {
    const auto patience = std::chrono::microseconds(delay(Actor::kBefore, queue.id(), index));
    if (!queue.rung.wait_for(lock, patience, come)) {
      lock.unlock();
      queue.held.begin_all(queue);
      lock.lock();
    }
  }
  queue.rung.wait(lock, come);
  return !queue.stop;
}

void process(Queue& queue) {
  for (std::uint64_t index = 0; await_packet(queue, index); ++index) {
    Packet packet;
    std::memcpy(&packet, slot(queue, index), sizeof packet);
    note(queue, index, packet);
    if (overlapping()) {
      linger(Actor::kBefore, queue.id(), index);
      if (has_barrier_bit(packet.header)) queue.held.drain(queue);
    }
    __atomic_store_n(&slot(queue, index)->header,
                     std::uint16_t{HSA_PACKET_TYPE_INVALID << HSA_PACKET_HEADER_TYPE}, __ATOMIC_RELEASE);
    __atomic_store_n(&queue.shared().read_dispatch_id, index + 1, __ATOMIC_RELEASE);
    if (overlapping() && type_of(packet.header) == HSA_PACKET_TYPE_KERNEL_DISPATCH) {
      queue.held.hold(queue, index, packet);
    } else {
      // What a barrier packet waits for may be the work of a dispatch before it.
      if (!queue.held.empty() && !free_to_go(packet)) queue.held.begin_all(queue);
      const std::uint64_t started = now_ns();
      if (carry_out(queue, packet)) complete(packet, started);
    }
    queue.held.begin_due(queue, index);
  }
}

Queue* queue_of(const hsa_queue_t* queue) {
  return reinterpret_cast<Queue*>(const_cast<hsa_queue_t*>(queue));
}

}  // namespace

void Held::hold(Queue& queue, std::uint64_t index, const Packet& packet) {
  due_.emplace(index + lag(queue.id(), index), std::make_pair(index, packet));
}

void Held::begin_due(Queue& queue, std::uint64_t index) {
  while (!due_.empty() && due_.begin()->first <= index) {
    const auto [at, packet] = due_.begin()->second;
    due_.erase(due_.begin());
    begin(queue, at, packet);
  }
}

void Held::drain(Queue& queue) {
  begin_all(queue);
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [&] { return incomplete_ == 0; });
}

void Held::begin(Queue& queue, std::uint64_t index, const Packet& packet) {
  const auto ran = std::make_shared<bool>(false);  // guarded by mutex_
  const auto end = [this] {
    const std::lock_guard<std::mutex> lock(mutex_);
    --incomplete_;
    changed_.notify_all();
  };
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++incomplete_;
  }
  later(0, [this, &queue, index, packet, ran, end] {
    const std::uint64_t started = now_ns();
    const bool done = carry_out(queue, packet);
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      *ran = true;
      changed_.notify_all();
    }
    if (!done) return end();
    later(delay(Actor::kAfter, queue.id(), index), [packet, started, end] {
      complete(packet, started);
      end();
    });
  });
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait_for(lock, kLong, [&] { return *ran; });
}

void ring(Queue& queue) {
  {
    const std::lock_guard<std::mutex> lock(queue.mutex);
  }
  queue.rung.notify_one();
}

}  // namespace emulation

using namespace emulation;

extern "C" {

hsa_status_t hsa_queue_create(hsa_agent_t handle, std::uint32_t size, hsa_queue_type32_t type,
                              void (*)(hsa_status_t, hsa_queue_t*, void*), void*, std::uint32_t,
                              std::uint32_t, hsa_queue_t** made) {
  static std::uint64_t last_id = 0;
  Agent* const agent = agent_of(handle);
  if (!agent || !agent->gpu) return HSA_STATUS_ERROR_INVALID_AGENT;
  if (size == 0 || (size & (size - 1)) != 0) return HSA_STATUS_ERROR_INVALID_ARGUMENT;
  auto* const queue = new Queue{};
  void* const packets = std::aligned_alloc(kPage, std::max<std::size_t>(kPage, size * kPacketBytes));
  std::memset(packets, 0, size * kPacketBytes);
  for (std::uint32_t i = 0; i < size; ++i) static_cast<Packet*>(packets)[i].header = HSA_PACKET_TYPE_INVALID;
  queue->agent = agent;
  queue->doorbell = make_signal(-1, queue);
  hsa_queue_t& shared = queue->shared().hsa_queue;
  shared.type = type;
  shared.features = HSA_QUEUE_FEATURE_KERNEL_DISPATCH;
  shared.base_address = packets;
  shared.doorbell_signal = handle_of(queue->doorbell);
  shared.size = size;
  shared.id = __atomic_add_fetch(&last_id, 1, __ATOMIC_RELAXED);
  // The upper halves of the addresses at which a GPU sees its group and private memory.
  queue->shared().group_segment_aperture_base_hi = 0x10000;
  queue->shared().private_segment_aperture_base_hi = 0x20000;
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
  queue->held.drain(*queue);
  release_signal(queue->doorbell);
  std::free(handle->base_address);
  delete queue;
  return HSA_STATUS_SUCCESS;
}

hsa_status_t hsa_queue_inactivate(hsa_queue_t* queue) {
  queue_of(queue)->stop = true;
  ring(*queue_of(queue));
  return HSA_STATUS_SUCCESS;
}

// Settings that change nothing here.
hsa_status_t hsa_amd_queue_set_priority(hsa_queue_t*, hsa_amd_queue_priority_t) { return HSA_STATUS_SUCCESS; }
hsa_status_t hsa_amd_queue_cu_set_mask(const hsa_queue_t*, std::uint32_t, const std::uint32_t*) {
  return HSA_STATUS_SUCCESS;
}
hsa_status_t hsa_amd_profiling_set_profiler_enabled(hsa_queue_t*, int) { return HSA_STATUS_SUCCESS; }
}
