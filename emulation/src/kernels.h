// Kernels on the CPU, found by their names: HIP's own copies and fills, and libraries of compiled ones.
#pragma once

#include <string>

namespace emulation {

struct Three {
  unsigned x, y, z;
};

// As in a dispatch packet: the size of a workgroup, and of the grid in work-items.
struct Launch {
  Three threads, items;
  const void* kernarg;
};

// Runs it to its end; ends the process with a sentence where there is no kernel of that name.
void run_kernel(const std::string& name, const Launch& launch);

}  // namespace emulation
