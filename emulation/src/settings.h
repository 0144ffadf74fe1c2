// What the variables HSA_STANDIN_* say, read once, and what is wrong with them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace emulation {

struct Settings {
  unsigned gpus = 2;                     // HSA_STANDIN_GPUS, 0 to 16
  std::string gfx = "gfx942";            // HSA_STANDIN_GFX
  std::string name;                      // HSA_STANDIN_NAME
  std::uint64_t memory_gib = 192;        // HSA_STANDIN_MEMORY_GIB, of each GPU, 1 to 4096
  std::vector<std::string> kernels;      // HSA_STANDIN_KERNELS, separated by colons
  bool log = false;                      // HSA_STANDIN_LOG
  bool skip_unknown = false;             // HSA_STANDIN_UNKNOWN=skip
  std::optional<std::uint64_t> overlap;  // HSA_STANDIN_OVERLAP, a seed
  std::string trace;                     // HSA_STANDIN_TRACE, a file
  std::string problem;                   // a sentence; empty where every value can be used
};

const Settings& settings();

// The whole text as a decimal number up to `most`. Not strtoul: a compiler of C23 binds that to
// __isoc23_strtoul, which glibc has since 2.38 only, and images are older than that.
std::optional<std::uint64_t> decimal(const std::string& text, std::uint64_t most);

// The words between the separators; "a::b" has an empty one.
std::vector<std::string> split(const std::string& text, char separator);

}  // namespace emulation
