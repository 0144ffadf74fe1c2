// A speaking stub for every HSA function that is not emulated. libamdhip64 is linked with -z now: one
// function that is missing, and it does not load at all ("symbol lookup error"), whoever calls it or not.
//
// The stubs are weak, so that a function that is emulated replaces its own. names.txt holds the functions
// that AMD's library exports; `make STUBS='hsa_amd_...'` adds more for a libamdhip64 newer than that list.
#include <atomic>

#include "machine.h"

namespace emulation {
namespace {

hsa_status_t not_emulated(std::atomic_flag& said, const char* name) {
  if (!said.test_and_set()) {
    say("%s is not emulated; it does nothing and answers HSA_STATUS_ERROR. What needs it "
        "cannot be judged on emulated GPUs",
        name);
  }
  return HSA_STATUS_ERROR;
}

}  // namespace
}  // namespace emulation

// Defined without arguments, under a name of its own: the headers declare some of them with theirs.
#define STUB(function)                                                                          \
  extern "C" __attribute__((weak)) hsa_status_t emulation_stub_##function() __asm__(#function); \
  hsa_status_t emulation_stub_##function() {                                                    \
    static std::atomic_flag said = ATOMIC_FLAG_INIT;                                            \
    return emulation::not_emulated(said, #function);                                            \
  }

#include "stubs.inc"
