// The arguments of each kernel, out of a code object's metadata: which bytes of its kernarg segment the
// program passes, and which the runtime adds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace emulation {

struct Argument {
  std::uint64_t offset, bytes;
};

// By the kernel's symbol ("NAME.kd"), hidden arguments left out. `bytes` is the descriptor of the ELF note
// NT_AMDGPU_METADATA, which is MessagePack (AMDGPUUsage, "Code Object V3 Metadata" and later). What cannot be
// read is left out.
std::map<std::string, std::vector<Argument>> kernel_arguments(const char* bytes, std::size_t size);

}  // namespace emulation
