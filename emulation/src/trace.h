// HSA_STANDIN_TRACE=FILE: a line for each packet that a queue takes, in the order in which they are taken.
#pragma once

namespace emulation {

bool tracing();
void trace(const char* format, ...) __attribute__((format(printf, 1, 2)));

}  // namespace emulation
