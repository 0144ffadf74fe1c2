// What the operations do, on the host: what the buffers should hold.
#pragma once

#include "operation.h"

namespace replay_fuzz {

u32 mix(u32 x, u32 by);            // as kernels.cpp has it
u32 block_size(Kind kind);         // words of a kernel's argument by value, 0 without one
u32 block_word(u32 word, u32 at);  // what stands in it
void apply(const Operation& operation, Memory& memory);

}  // namespace replay_fuzz
