// What a compiled kernel library exports. kernel_prelude.inc defines the same structs for g++.
#pragma once

namespace standin {

struct Dim {
  unsigned x, y, z;
};

struct Grid {
  Dim blocks, threads;
};

// One for each kernel, exported as kEntryPrefix + its name.
struct Entry {
  void (*run)(const Grid* grid, const void* const* arguments);
  const unsigned long* sizes;  // bytes of each argument
  unsigned long count;
};

constexpr const char* kEntryPrefix = "hip_standin_entry_";
constexpr const char* kArchSymbol = "hip_standin_arch";  // a string, such as "gfx942"

}  // namespace standin
