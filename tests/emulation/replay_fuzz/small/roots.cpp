// Graphs with two roots, launched behind unfinished work of the launch stream.
#include "case.h"

namespace replay_fuzz {
namespace {

// The side stream's node reads what the launch stream wrote just before. With a node before the fork it is
// ordered behind that node; without one it is a root of its own.
Outcome fork(const Image& image, bool node_before_the_fork) {
  const Kernels kernels(image);
  const Handle stream = new_stream(), side = new_stream();
  u32 *const written = zeroed(kMany), *const read = zeroed(kFew), *const other = zeroed(kFew);
  synchronize();
  begin_capture(stream);
  if (node_before_the_fork) in_place(kernels, stream, other, kFew);
  follow(side, stream);
  in_place(kernels, stream, other, kFew);
  map(kernels, side, read, written);
  follow(stream, side);
  const Handle exec = end_capture(stream);
  Outcome outcome{0, kReplays};
  u32 model = 0;
  for (int i = 0; i < kReplays; ++i) {
    for (int k = 0; k < 5; ++k) {
      in_place(kernels, stream, written, kMany);
      model = mix(model, kBy);
    }
    replay(exec, stream);
    if (first_word(read) != mix(model, kBy)) ++outcome.wrong;
  }
  return outcome;
}

Outcome roots(const Image& image) { return fork(image, false); }
Outcome one_root(const Image& image) { return fork(image, true); }

}  // namespace

const std::vector<Case>& root_cases() {
  static const std::vector<Case> all = {
      {"roots", "two roots, the second reads what the launch stream wrote just before", roots},
      {"one_root", "the same with a node before the fork", one_root},
  };
  return all;
}

}  // namespace replay_fuzz
