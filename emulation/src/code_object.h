// Executables: an AMDGPU code object (ELF) laid out in memory, and its symbols by name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "hsa_interface.h"
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

// A file in memory.
struct Reader {
  const char* bytes;
  std::size_t size;
};

struct Symbol {
  std::string name;
  bool kernel;
  std::uint64_t address;
  std::uint64_t bytes;
  hsa_agent_t agent;
  const LoadedKernel* loaded;
};

struct Executable {
  std::map<std::pair<std::string, std::uint64_t>, std::unique_ptr<Symbol>> symbols;  // by name and agent
  std::map<std::string, void*> defined;  // variables that the runtime defines before loading
  std::vector<std::pair<void*, std::size_t>> areas;
  std::vector<std::uint64_t> kernels;
};

hsa_status_t load(Executable& executable, hsa_agent_t agent, const Reader& reader);
void unload(Executable& executable);

// The kernel of a dispatch packet's kernel_object; nullptr for none.
const LoadedKernel* kernel_at(std::uint64_t kernel_object);

}  // namespace emulation
