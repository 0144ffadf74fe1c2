// What machine the stand-in pretends to be: resolved once, from the environment and /opt/rocm.
#pragma once

#include <string>

namespace standin {

struct RocmVersion {
  int major = 0;
  int minor = 0;
  int patch = 0;

  bool below(int other_major, int other_minor, int other_patch) const;
  // The integer of hipRuntimeGetVersion. Published: 7.2.0 is 70226015; 7.2.1, 7.2.2 and 7.2.4 are
  // 70253211. Derived for every other version so that a newer one never has a smaller integer.
  int runtime_integer() const;
};

struct Config {
  RocmVersion rocm;
  int devices = 0;  // 0: a host without a GPU
  std::string gfx;

  // rocm-systems #3176 and #3195: queries ignore a THREAD_LOCAL mode, and an event recorded before
  // the capture counts as captured. Fixed in ROCm 7.2.1.
  bool query_bugs() const { return rocm.below(7, 2, 1); }
};

// Reads HIP_STANDIN_DEVICES, HIP_STANDIN_GFX, HIP_STANDIN_ROCM and /opt/rocm/.info/version once.
// A bad value is said in one line on stderr and leaves a machine with no device.
const Config& config();

}  // namespace standin
