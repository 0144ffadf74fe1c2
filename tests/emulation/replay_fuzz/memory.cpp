#include "memory.h"

#include <cstdio>
#include <cstring>
#include <numeric>

namespace replay_fuzz {
namespace {

u32 draw_size(Random& random, const Options& options) {
  if (random.chance(3) && options.large) return 65536 + random.below(300000);
  return 16 + random.below(random.chance(50) ? 64 : 1000);
}

u32 room_for(u32 words) { return (words + 63) / 64 * 64; }

std::vector<u32> words_of(const Buffer& buffer) {
  std::vector<u32> have(buffer.size());
  if (buffer.on_the_device) {
    hip("hipMemcpy", static_cast<void*>(have.data()), static_cast<const void*>(buffer.at),
        have.size() * sizeof(u32), int{kDeviceToHost});
  } else {
    std::memcpy(have.data(), buffer.at, have.size() * sizeof(u32));
  }
  return have;
}

}  // namespace

std::vector<int> Memory::all_buffers() const {
  std::vector<int> all(buffers.size());
  std::iota(all.begin(), all.end(), 0);
  return all;
}

Memory draw_memory(Random& random, const Options& options) {
  const u32 on_the_device = options.llm ? 12 + random.below(8) : 4 + random.below(9);
  const u32 on_the_host = 1 + random.below(4);
  const bool pooled = random.chance(50);  // all in one allocation, as a memory pool has them
  std::vector<u32> sizes;
  u32 total = 0;
  for (u32 i = 0; i < on_the_device + on_the_host; ++i) {
    sizes.push_back(draw_size(random, options));
    total += room_for(sizes.back());
  }
  u32* pool = pooled ? device_array<u32>(total) : nullptr;
  Memory memory;
  for (u32 i = 0; i < sizes.size(); ++i) {
    Buffer made;
    made.on_the_device = i < on_the_device;
    for (u32 k = 0; k < sizes[i]; ++k) made.model.push_back(random.word());
    const std::size_t bytes = sizes[i] * sizeof(u32);
    if (!made.on_the_device) {
      void* at = nullptr;
      hip("hipHostMalloc", &at, bytes, 0u);
      made.at = static_cast<u32*>(at);
      std::memcpy(made.at, made.model.data(), bytes);
    } else {
      made.at = pooled ? pool : device_array<u32>(sizes[i]);
      if (pooled) pool += room_for(sizes[i]);
      hip("hipMemcpy", static_cast<void*>(made.at), static_cast<const void*>(made.model.data()), bytes,
          int{kHostToDevice});
    }
    memory.buffers.push_back(std::move(made));
  }
  for (int i = 0; i < 20000; ++i) memory.pageable.push_back(random.word());
  return memory;
}

void compare(const Memory& memory, const char* when) {
  synchronize();
  int wrong_buffers = 0;
  for (std::size_t b = 0; b < memory.buffers.size(); ++b) {
    const Buffer& buffer = memory.buffers[b];
    const std::vector<u32> have = words_of(buffer);
    u32 wrong = 0, first = 0;
    for (u32 i = 0; i < buffer.size(); ++i) {
      if (have[i] != buffer.model[i] && wrong++ == 0) first = i;
    }
    if (wrong == 0 || wrong_buffers++ >= 4) continue;
    std::printf("WRONG %s: buffer %zu, %s, %u of %u words, first word %u: %08x, not %08x\n", when, b,
                buffer.on_the_device ? "device" : "host", wrong, buffer.size(), first, have[first],
                buffer.model[first]);
  }
  if (wrong_buffers == 0) return;
  std::printf("WRONG %d of %zu buffers\n", wrong_buffers, memory.buffers.size());
  leave(kWrong);
}

}  // namespace replay_fuzz
