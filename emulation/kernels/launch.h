// What the emulator hands to a kernel on the CPU; shared by the emulator and every library of kernels.
#pragma once

// Changes with Launch. A library of kernels exports the one that it was compiled with, and the emulator
// refuses a library of another.
#define HSA_STANDIN_KERNELS_VERSION 1

namespace emulation {

struct Three {
  unsigned x, y, z;
};

// As in a dispatch packet: the size of a workgroup, and of the grid in work-items.
struct Launch {
  Three threads, items;
  const void* kernarg;
  unsigned group_bytes;  // of shared memory, static and dynamic
  const char* name;
};

}  // namespace emulation
