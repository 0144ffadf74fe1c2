#include "packets.h"

#include <cstring>

#include "code_object.h"
#include "faults.h"
#include "kernels.h"
#include "queue.h"
#include "trace.h"

namespace emulation {
namespace {

bool all_zero(const hsa_barrier_and_packet_t& packet) {
  for (const hsa_signal_t signal : packet.dep_signal) {
    if (signal.handle != 0 && value_of(signal_of(signal)) != 0) return false;
  }
  return true;
}

// True too where the packet names no signal at all.
bool one_zero(const hsa_barrier_or_packet_t& packet) {
  bool some = false;
  for (const hsa_signal_t signal : packet.dep_signal) {
    if (signal.handle == 0) continue;
    some = true;
    if (value_of(signal_of(signal)) == 0) return true;
  }
  return !some;
}

bool value_met(const hsa_amd_barrier_value_packet_t& packet) {
  if (packet.header.AmdFormat != HSA_AMD_PACKET_TYPE_BARRIER_VALUE) {
    fail("a vendor packet of format %u cannot be carried out; only barrier-value is known",
         packet.header.AmdFormat);
  }
  if (packet.signal.handle == 0) return true;
  return holds(static_cast<hsa_signal_condition_t>(packet.cond),
               value_of(signal_of(packet.signal)) & packet.mask, packet.value);
}

// False where the GPU faults.
bool dispatch(Queue& queue, const hsa_kernel_dispatch_packet_t& packet) {
  const LoadedKernel* const kernel = kernel_at(packet.kernel_object);
  if (!kernel) fail("a dispatch of kernel object 0x%lx, which no executable holds", packet.kernel_object);
  const unsigned dimensions = packet.setup & 3;
  Launch launch = {};
  launch.threads = {packet.workgroup_size_x, packet.workgroup_size_y, packet.workgroup_size_z};
  launch.items = {packet.grid_size_x, dimensions > 1 ? packet.grid_size_y : 1,
                  dimensions > 2 ? packet.grid_size_z : 1};
  launch.kernarg = packet.kernarg_address;
  launch.group_bytes = packet.group_segment_size;
  launch.name = kernel->name.c_str();
  log("dispatch %s grid %u %u %u block %u", kernel->name.c_str(), launch.items.x, launch.items.y,
      launch.items.z, launch.threads.x);
  if (const auto address = forbidden(*queue.agent, *kernel, launch.kernarg)) {
    report_fault(*queue.agent, *address, ("kernel " + kernel->name).c_str());
    return false;
  }
  run_kernel(launch);
  return true;
}

unsigned bits(std::uint16_t header, unsigned at, unsigned width) {
  return (header >> at) & ((1u << width) - 1);
}

}  // namespace

bool free_to_go(const Packet& packet) {
  switch (type_of(packet.header)) {
    case HSA_PACKET_TYPE_KERNEL_DISPATCH: return true;
    case HSA_PACKET_TYPE_BARRIER_AND: return all_zero(packet.barrier_and);
    case HSA_PACKET_TYPE_BARRIER_OR: return one_zero(packet.barrier_or);
    case HSA_PACKET_TYPE_VENDOR_SPECIFIC: return value_met(packet.barrier_value);
  }
  fail("a packet of type %u cannot be carried out", type_of(packet.header));
}

bool carry_out(Queue& queue, const Packet& packet) {
  if (queue.agent->faulted) return false;
  if (type_of(packet.header) == HSA_PACKET_TYPE_KERNEL_DISPATCH) return dispatch(queue, packet.dispatch);
  return wait_until([&] { return free_to_go(packet); }, kForever, &queue.stop);
}

void complete(const Packet& packet, std::uint64_t started_ns) {
  // Every type of packet has its completion signal in its last eight bytes.
  complete(packet.dispatch.completion_signal, started_ns);
}

void note(const Queue& queue, std::uint64_t index, const Packet& packet) {
  if (!tracing()) return;
  const std::uint16_t header = packet.header;
  const unsigned type = type_of(header), barrier = has_barrier_bit(header);
  const unsigned acquire = bits(header, HSA_PACKET_HEADER_SCACQUIRE_FENCE_SCOPE, 2);
  const unsigned release = bits(header, HSA_PACKET_HEADER_SCRELEASE_FENCE_SCOPE, 2);
  const std::uint64_t done = packet.dispatch.completion_signal.handle;
  if (type == HSA_PACKET_TYPE_KERNEL_DISPATCH) {
    const LoadedKernel* const kernel = kernel_at(packet.dispatch.kernel_object);
    std::uint64_t words[3] = {};
    if (kernel) {
      std::memcpy(words, packet.dispatch.kernarg_address,
                  std::min<std::size_t>(sizeof words, kernel->kernarg_bytes));
    }
    trace("q%lu %lu K b%u a%u r%u sig %lx %s args %p: %lx %lx %lx", queue.id(), index, barrier, acquire,
          release, done, kernel ? kernel->name.c_str() : "?", packet.dispatch.kernarg_address, words[0],
          words[1], words[2]);
  } else if (type == HSA_PACKET_TYPE_BARRIER_AND || type == HSA_PACKET_TYPE_BARRIER_OR) {
    const auto& before = packet.barrier_and.dep_signal;
    trace("q%lu %lu %s b%u a%u r%u sig %lx deps %lx %lx %lx %lx %lx", queue.id(), index,
          type == HSA_PACKET_TYPE_BARRIER_AND ? "AND" : "OR", barrier, acquire, release, done,
          before[0].handle, before[1].handle, before[2].handle, before[3].handle, before[4].handle);
  } else {
    trace("q%lu %lu V b%u a%u r%u sig %lx on %lx", queue.id(), index, barrier, acquire, release, done,
          packet.barrier_value.signal.handle);
  }
}

}  // namespace emulation
