#include "operation.h"

#include <algorithm>

namespace replay_fuzz {
namespace {

Kind draw_kind(Random& random, const Options& options, bool only_kernels) {
  const u32 dice = random.below(100);
  if (dice < 4) return kConst;
  if (dice < 24) return kMap;
  if (dice < 34) return kInPlace;
  if (dice < 52) return kAdd;
  if (dice < 62) return kBlock64;
  if (dice < 68) return kBlock1k;
  if (dice < 72) return kBlock4k;
  if (only_kernels || !options.copies) return kMap;
  if (dice < 88) return kCopy;
  if (dice < 90 && options.pageable) return kCopyPageable;
  if (!options.memset) return kMap;
  return dice < 95 ? kSet8 : kSet32;
}

bool reads_source(Kind kind) {
  return kind == kMap || kind == kAdd || (kind >= kBlock64 && kind <= kCopy);
}

bool is_as_long_as_its_source(Kind kind) {
  return kind != kInPlace && kind != kSet8 && kind != kSet32 && kind != kConst;
}

}  // namespace

void Touched::add(const Touched& other) {
  reads.insert(other.reads.begin(), other.reads.end());
  writes.insert(other.writes.begin(), other.writes.end());
}

Touched touched(const Operation& operation) {
  Touched all;
  all.writes.insert(operation.target);
  if (reads_source(operation.kind)) all.reads.insert(operation.source);
  if (operation.kind == kAdd) all.reads.insert(operation.second);
  if (operation.kind == kInPlace) all.reads.insert(operation.target);
  return all;
}

Operation draw_operation(Random& random, const Options& options, const Memory& memory,
                         const std::vector<int>& buffers, int stream, bool only_kernels) {
  const auto pick = [&](bool on_the_device) {
    for (;;) {
      const int buffer = buffers[random.below(static_cast<u32>(buffers.size()))];
      if (!on_the_device || memory.buffers[buffer].on_the_device) return buffer;
    }
  };
  Operation drawn;
  drawn.stream = stream;
  drawn.kind = draw_kind(random, options, only_kernels);
  // Kernels and fills work on device memory; a copy has it on one side at least.
  drawn.target = pick(drawn.kind != kCopy);
  drawn.source = pick(drawn.kind != kCopy || !memory.buffers[drawn.target].on_the_device);
  drawn.second = pick(true);
  if (drawn.kind == kCopy && drawn.source == drawn.target) drawn.kind = kInPlace;
  u32 count = memory.buffers[drawn.target].size();
  if (is_as_long_as_its_source(drawn.kind)) count = std::min(count, memory.buffers[drawn.source].size());
  if (drawn.kind == kAdd) count = std::min(count, memory.buffers[drawn.second].size());
  if (drawn.kind == kCopyPageable) {
    const u32 half = static_cast<u32>(memory.pageable.size() / 2);
    count = std::min(count, half);
    drawn.word = random.below(half);
  } else {
    drawn.word = random.word();
  }
  if (random.chance(20)) count = 1 + random.below(count);
  constexpr u32 kMostForAKernel = 4096;  // the CPU runs the work-items one after the other
  drawn.count = drawn.is_kernel() ? std::min(count, kMostForAKernel) : count;
  if (drawn.kind == kConst) drawn.count = 16;
  drawn.threads = random.chance(50) ? 1 : 1 + random.below(32);
  drawn.blocks = 1 + random.below(2);
  return drawn;
}

}  // namespace replay_fuzz
