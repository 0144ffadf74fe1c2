// What the small cases share: a module's kernels, two words of arithmetic, and how a case ends.
#pragma once

#include <string>
#include <vector>

#include "../hip.h"

namespace replay_fuzz {

inline u32 mix(u32 x, u32 by) {  // as kernels.cpp has it
  x ^= by;
  x *= 0x9E3779B1u;
  x ^= x >> 15;
  x *= 0x85EBCA77u;
  x ^= x >> 13;
  return x;
}

constexpr u32 kBy = 5;          // what every kernel of the cases mixes in
constexpr u32 kFew = 16;        // words of a buffer that takes no time
constexpr u32 kMany = 20000;    // words of a buffer that takes some
constexpr int kReplays = 100;

using Image = std::vector<char>;

struct Kernels {
  explicit Kernels(const Image& image);
  Handle in_place, map, block4k;
};

u32* zeroed(u32 words);
void in_place(const Kernels& kernels, Handle stream, u32* buffer, u32 words);
void map(const Kernels& kernels, Handle stream, u32* to, const u32* from);  // kFew words
void follow(Handle waits, Handle first);  // the one stream waits for what the other has so far
u32 first_word(const u32* buffer);        // once the device is idle

void begin_capture(Handle stream);
Handle end_capture(Handle stream);                 // the executable graph
void replay(Handle exec, Handle stream);

// Wrong replays of how many.
struct Outcome {
  int wrong = 0, of = 1;
};

struct Case {
  const char* name;
  const char* shows;
  Outcome (*run)(const Image& image);  // the first call of HIP is its own
};

const std::vector<Case>& root_cases();
const std::vector<Case>& node_cases();
const std::vector<Case>& fat_binary_cases();
const std::vector<Case>& circle_cases();
const std::vector<Case>& wait_cases();

}  // namespace replay_fuzz
