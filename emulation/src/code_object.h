// Executables: an AMDGPU code object (ELF) laid out in memory, and its symbols by name.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "metadata.h"

namespace emulation {

struct LoadedKernel {
  std::string name;              // without ".kd"
  std::uint64_t descriptor = 0;  // address of the 64 bytes that AMDGPUUsage documents
  std::uint32_t group_bytes = 0;
  std::uint32_t private_bytes = 0;
  std::uint32_t kernarg_bytes = 0;
  std::vector<Argument> arguments;  // what the program passes
};

// The kernel of a dispatch packet's kernel_object; nullptr for none.
const LoadedKernel* kernel_at(std::uint64_t kernel_object);

}  // namespace emulation
