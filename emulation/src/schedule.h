// A seeded schedule for what a GPU may reorder: HSA_STANDIN_OVERLAP=SEED switches it on.
//
// Every choice is a function of the seed, of who chooses (the n-th queue, a copy engine, the handlers) and of
// what for (its n-th packet): the same program makes the same choices again. What order follows from them is
// the same too within one queue, as long as the program hands its packets over together; between queues, copy
// engines and the program it depends on the machine's timing as well.
#pragma once

#include <cstdint>
#include <functional>

namespace emulation {

bool overlapping();

enum class Actor : std::uint64_t { kScale, kBefore, kAfter, kLag, kEngineBefore, kEngineAfter, kHandler };

// In microseconds: 0 half of the time, else up to the seed's scale, rarely ten times as much.
std::uint64_t delay(Actor actor, std::uint64_t which, std::uint64_t index);

// How many packets later a dispatch may begin that no barrier bit holds to its place: 0 half of the time.
std::uint64_t lag(std::uint64_t queue, std::uint64_t index);

// Sleeps the delay where overlapping.
void linger(Actor actor, std::uint64_t which, std::uint64_t index);

// Runs it on one of a pool's threads after that time.
void later(std::uint64_t delay_us, std::function<void()> work);

}  // namespace emulation
