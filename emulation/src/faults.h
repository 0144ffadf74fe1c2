// Memory faults: what happens where a GPU touches memory that it was given no access to.
#pragma once

#include <cstddef>
#include <optional>

#include "code_object.h"
#include "machine.h"

namespace emulation {

// An address of the range that the GPU may not touch. The ends of a range are looked at: one range lies in
// one allocation, unless the program is wrong in another way too.
std::optional<const void*> forbidden(const Agent& agent, const void* start, std::size_t bytes);

// The same for the arguments of a kernel: every aligned word of eight bytes that the program passes is
// looked up. That sees a pointer that is an argument, or lies in a structure passed by value. It does not see
// a pointer that the kernel reads from memory, nor how far from a pointer it reaches; and it takes a pointer
// for used that the kernel only holds.
std::optional<const void*> forbidden(const Agent& agent, const LoadedKernel& kernel, const void* kernarg);

// As AMD's runtime: the handlers of system events are told; where none answers that it took care of it, a
// sentence and abort(). Afterwards the GPU runs nothing more (Agent::faulted).
void report_fault(Agent& agent, const void* address, const char* what);

}  // namespace emulation
