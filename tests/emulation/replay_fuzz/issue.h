// Issues operations and whole programs on streams: eagerly, or into the capture that the streams are in.
#pragma once

#include <vector>

#include "device.h"
#include "program.h"

namespace replay_fuzz {

// A kernel's arguments where HIP can copy them from. Not to be moved: `list` points into it.
struct Arguments {
  Arguments(const Operation& operation, const Memory& memory);
  Arguments(const Arguments&) = delete;
  Arguments& operator=(const Arguments&) = delete;
  ~Arguments();  // overwrites them: what HIP did not copy shows

  u32 *y, *x, *z;
  u32 count, word;
  u32 block[1000];
  void* list[5];
};

void issue(const Operation& operation, const Memory& memory, const Device& device, Handle stream);

struct Issued {
  std::vector<Handle> events;  // to destroy when no capture holds them
  std::vector<Handle> nodes;   // of the kernels, where it was a capture that is asked for them
};

// On `first` and the side streams. The side streams fork from `first` before the first operation, or behind it
// where one root is asked for, and are joined at the end.
Issued issue(const Program& program, const Memory& memory, const Device& device, const Options& options,
             Handle first, bool capturing);

}  // namespace replay_fuzz
