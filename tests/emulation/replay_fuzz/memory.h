// The buffers of a run, on the device and on the host, each with the words that it should hold.
#pragma once

#include <vector>

#include "hip.h"
#include "options.h"
#include "random.h"

namespace replay_fuzz {

struct Buffer {
  bool on_the_device = true;
  u32* at = nullptr;
  std::vector<u32> model;  // as it should be when everything issued so far is done
  u32 size() const { return static_cast<u32>(model.size()); }
};

struct Memory {
  std::vector<Buffer> buffers;
  std::vector<u32> pageable;  // never written after the start

  std::vector<int> all_buffers() const;
};

Memory draw_memory(Random& random, const Options& options);

// Waits for the device and compares each buffer with its model. A difference ends the process with kWrong.
void compare(const Memory& memory, const char* when);

}  // namespace replay_fuzz
