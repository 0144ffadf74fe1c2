// Graphs in which a stream waits again for a node that it is behind already, and another forks from it.
//
// Node A is followed by B, C and D; C also follows B. The edge from A to C orders nothing that A, B, C does not
// order, but it takes a number in libamdhip64's list of streams that no stream is made for.
#include "case.h"

namespace replay_fuzz {
namespace {

// So many of these shapes one behind the other. 7.2.4 counts four segments in each.
Outcome waits(const Image& image, int shapes) {
  const Kernels kernels(image);
  const Handle stream = new_stream(), idle = new_stream(), side = new_stream();
  u32 *const trunk = zeroed(kFew), *const branch = zeroed(kFew);
  synchronize();
  begin_capture(stream);
  for (int i = 0; i < shapes; ++i) {
    in_place(kernels, stream, trunk, kFew);  // A
    const Handle behind_a = new_event();
    record(behind_a, stream);
    in_place(kernels, stream, trunk, kFew);  // B
    wait(idle, behind_a);
    follow(stream, idle);
    in_place(kernels, stream, trunk, kFew);  // C
    wait(side, behind_a);
    in_place(kernels, side, branch, kFew);  // D
    follow(stream, side);
  }
  const Handle exec = end_capture(stream);
  replay(exec, stream);
  u32 model = 0;
  for (int i = 0; i < shapes; ++i) model = mix(model, kBy);
  return {first_word(branch) != model, 1};
}

Outcome waits1(const Image& image) { return waits(image, 1); }
Outcome waits4(const Image& image) { return waits(image, 4); }

}  // namespace

const std::vector<Case>& wait_cases() {
  static const std::vector<Case> all = {
      {"waits1", "a wait for what is behind already, beside a fork from the same node", waits1},
      {"waits4", "the same four times", waits4},
  };
  return all;
}

}  // namespace replay_fuzz
