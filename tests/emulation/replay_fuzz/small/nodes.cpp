// A memset node, replayed after much of the null stream's argument memory was used again.
#include <cstring>

#include "case.h"

namespace replay_fuzz {
namespace {

struct Block {
  u32 word[1000];
};

// kernels of 4,020 bytes of arguments each
void use_argument_memory(const Kernels& kernels, u32* to, const u32* from, int launches) {
  Block block;
  std::memset(&block, 0x77, sizeof block);
  u32 words = kFew;
  void* arguments[] = {&to, &from, &block, &words};
  for (int i = 0; i < launches; ++i) launch(kernels.block4k, 1, 1, nullptr, arguments);
}

Outcome memset_node(const Image& image) {
  const Kernels kernels(image);
  const Handle stream = new_stream();
  u32 *const set = zeroed(kFew), *const to = zeroed(kFew), *const from = zeroed(kFew);
  synchronize();
  begin_capture(stream);
  hip("hipMemsetAsync", static_cast<void*>(set), 0x11, kFew * sizeof(u32), stream);
  in_place(kernels, stream, set, kFew);
  const Handle exec = end_capture(stream);
  Outcome outcome{0, kReplays};
  for (int i = 0; i < kReplays; ++i) {
    use_argument_memory(kernels, to, from, 50);
    replay(exec, stream);
    if (first_word(set) != mix(0x11111111, kBy)) ++outcome.wrong;
  }
  return outcome;
}

}  // namespace

const std::vector<Case>& node_cases() {
  static const std::vector<Case> all = {
      {"memset", "a memset node, between launches of 4 KiB of arguments on the null stream", memset_node},
  };
  return all;
}

}  // namespace replay_fuzz
