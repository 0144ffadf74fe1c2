// AQL packets, and what carrying one out does.
#pragma once

#include <cstddef>
#include <cstdint>

#include "hsa_interface.h"

namespace emulation {

struct Queue;

union Packet {
  std::uint16_t header;
  hsa_kernel_dispatch_packet_t dispatch;
  hsa_barrier_and_packet_t barrier_and;
  hsa_barrier_or_packet_t barrier_or;
  hsa_amd_barrier_value_packet_t barrier_value;
};
constexpr std::size_t kPacketBytes = 64;
static_assert(sizeof(Packet) == kPacketBytes);

inline unsigned type_of(std::uint16_t header) { return (header >> HSA_PACKET_HEADER_TYPE) & 0xff; }
inline bool has_barrier_bit(std::uint16_t header) { return (header >> HSA_PACKET_HEADER_BARRIER) & 1; }

// Whether the signals that a barrier packet waits for are such that it would not wait now; true for others.
bool free_to_go(const Packet& packet);

// Waits for what a barrier packet waits for, or runs the kernel of a dispatch. False where the queue was
// stopped first or the GPU faulted: the packet is not complete then, and never will be.
bool carry_out(Queue& queue, const Packet& packet);

// The times, and one off the completion signal.
void complete(const Packet& packet, std::uint64_t started_ns);

// A line for HSA_STANDIN_TRACE.
void note(const Queue& queue, std::uint64_t index, const Packet& packet);

}  // namespace emulation
