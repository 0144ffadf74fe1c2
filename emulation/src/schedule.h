// A seeded schedule for what a GPU may reorder: HSA_STANDIN_OVERLAP=SEED switches it on.
#pragma once

#include <cstdint>
#include <functional>

namespace emulation {

bool overlapping();

// 0 half of the time, else up to the seed's scale, rarely ten times as much; in microseconds.
std::uint64_t some_delay();

// Runs it on one of a pool's threads after that time.
void later(std::uint64_t delay_us, std::function<void()> work);

// Sleeps some_delay() where overlapping.
void linger();

// One line on HSA_STANDIN_TRACE's file, if it is set.
bool tracing();
void trace(const char* format, ...) __attribute__((format(printf, 1, 2)));

}  // namespace emulation
