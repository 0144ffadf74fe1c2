// Captures in which side streams wait for each other in a circle: each wait is for an earlier event.
#include "case.h"

namespace replay_fuzz {
namespace {

// One side stream after the other, round a circle of so many, ending where it began.
Outcome circle(const Image& image, int sides) {
  const Kernels kernels(image);
  const Handle stream = new_stream();
  std::vector<Handle> side;
  for (int i = 0; i < sides; ++i) side.push_back(new_stream());
  u32 *const first = zeroed(kFew), *const chained = zeroed(kFew);
  synchronize();
  begin_capture(stream);
  in_place(kernels, stream, first, kFew);
  for (const Handle each : side) follow(each, stream);
  in_place(kernels, side[0], chained, kFew);
  for (int i = 1; i < sides; ++i) {
    follow(side[i], side[i - 1]);
    in_place(kernels, side[i], chained, kFew);
  }
  follow(side[0], side[sides - 1]);
  in_place(kernels, side[0], chained, kFew);
  for (const Handle each : side) follow(stream, each);
  const Handle exec = end_capture(stream);
  replay(exec, stream);
  u32 model = 0;
  for (int i = 0; i <= sides; ++i) model = mix(model, kBy);
  return {first_word(chained) != model, 1};
}

Outcome circle2(const Image& image) { return circle(image, 2); }
Outcome circle3(const Image& image) { return circle(image, 3); }

}  // namespace

const std::vector<Case>& circle_cases() {
  static const std::vector<Case> all = {
      {"circle2", "two side streams wait for each other", circle2},
      {"circle3", "three side streams wait for each other in a circle", circle3},
  };
  return all;
}

}  // namespace replay_fuzz
