#include "model.h"

#include <algorithm>
#include <cstring>

namespace replay_fuzz {

u32 mix(u32 x, u32 by) {
  x ^= by;
  x *= 0x9E3779B1u;
  x ^= x >> 15;
  x *= 0x85EBCA77u;
  x ^= x >> 13;
  return x;
}

u32 block_size(Kind kind) {
  switch (kind) {
    case kBlock64: return 16;
    case kBlock1k: return 256;
    case kBlock4k: return 1000;
    default: return 0;
  }
}

u32 block_word(u32 word, u32 at) { return mix(at, word); }

void apply(const Operation& done, Memory& memory) {
  std::vector<u32>& y = memory.buffers[done.target].model;
  const std::vector<u32>& x = memory.buffers[done.source].model;
  const std::vector<u32>& z = memory.buffers[done.second].model;
  switch (done.kind) {
    case kConst:
      for (u32 i = 0; i < 16; ++i) y[i] = mix(i, 7);
      break;
    case kMap:
      for (u32 i = 0; i < done.count; ++i) y[i] = mix(x[i], done.word + i);
      break;
    case kInPlace:
      for (u32 i = 0; i < done.count; ++i) y[i] = mix(y[i], done.word);
      break;
    case kAdd:
      for (u32 i = 0; i < done.count; ++i) y[i] = mix(x[i], done.word) + z[i];
      break;
    case kBlock64:
    case kBlock1k:
    case kBlock4k:
      for (u32 i = 0; i < done.count; ++i) y[i] = mix(x[i], block_word(done.word, i % block_size(done.kind)));
      break;
    case kCopy: std::copy_n(x.begin(), done.count, y.begin()); break;
    case kCopyPageable: std::copy_n(memory.pageable.begin() + done.word, done.count, y.begin()); break;
    case kSet8: std::memset(y.data(), done.word & 255, done.count * sizeof(u32)); break;
    case kSet32: std::fill_n(y.begin(), done.count, done.word); break;
  }
}

}  // namespace replay_fuzz
