// One operation on the buffers, a kernel, copy or fill: what it touches, and how a seed draws it.
#pragma once

#include <set>
#include <vector>

#include "memory.h"
#include "options.h"
#include "random.h"

namespace replay_fuzz {

// The kernels of kernels.cpp in their order, then what HIP does by itself.
enum Kind : int {
  kConst,
  kMap,
  kInPlace,
  kAdd,
  kBlock64,
  kBlock1k,
  kBlock4k,
  kKernels,
  kCopy = kKernels,
  kCopyPageable,
  kSet8,
  kSet32,
};

struct Operation {
  Kind kind = kConst;
  int stream = 0;                           // of its program
  int target = 0, source = 0, second = 0;   // buffers
  u32 count = 0;                            // words
  u32 word = 0;                             // what a kernel mixes in, a fill writes, or where a copy begins
  u32 threads = 1, blocks = 1;
  std::vector<int> waits;                   // operations of other streams that must be done before
  bool recorded = false;                    // an event is recorded behind it

  bool is_kernel() const { return kind < kKernels; }
};

struct Touched {
  std::set<int> reads, writes;
  void add(const Touched& other);
};

Touched touched(const Operation& operation);

Operation draw_operation(Random& random, const Options& options, const Memory& memory,
                         const std::vector<int>& buffers, int stream, bool only_kernels);

}  // namespace replay_fuzz
