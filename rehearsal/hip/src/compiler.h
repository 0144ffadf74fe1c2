// Runs the host's C++ compiler on a kernel source.
#pragma once

#include <string>
#include <vector>

namespace standin {

struct Compiled {
  bool ok = false;
  std::string code;  // a shared object
  std::string log;   // what the compiler said
};

// HIP_STANDIN_CXX names the compiler (default g++; it must be GCC 8 or newer). No shell is
// involved, and nothing is left behind in the temporary directory.
Compiled compile(const std::string& source, const std::vector<std::string>& options);

}  // namespace standin
