// Kernels on the CPU, found by their names: HIP's own copies and fills, and libraries of compiled ones.
#pragma once

#include "launch.h"

namespace emulation {

using Run = void (*)(const Launch*);

// HIP's own kernel of that name; nullptr for none.
Run own_kernel(const char* name);

// Runs it to its end. A kernel that no library has ends the process with a sentence, or does nothing where
// HSA_STANDIN_UNKNOWN=skip.
void run_kernel(const Launch& launch);

}  // namespace emulation
