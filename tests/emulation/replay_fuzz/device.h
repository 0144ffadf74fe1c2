// What a run has on the device: the kernels and the streams.
#pragma once

#include <vector>

#include "operation.h"

namespace replay_fuzz {

struct Device {
  Handle functions[kKernels] = {};
  std::vector<Handle> launchers;  // the streams of eager work and of hipGraphLaunch
  std::vector<Handle> sides;      // those that a program forks into
  Handle capturer = nullptr;      // the stream that begins each capture
};

Device make_device(const char* image, const Options& options, int launchers);

}  // namespace replay_fuzz
