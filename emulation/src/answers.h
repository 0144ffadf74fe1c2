// Answers to the runtime's questions: a value is written where it points, whatever its size.
#pragma once

#include <algorithm>
#include <cstring>
#include <string>

#include "hsa_interface.h"
#include "machine.h"

namespace emulation {

template <class T>
hsa_status_t put(void* where, T value) {
  std::memcpy(where, &value, sizeof value);
  return HSA_STATUS_SUCCESS;
}

inline hsa_status_t put_text(void* where, std::size_t room, const std::string& text) {
  std::memset(where, 0, room);
  std::memcpy(where, text.data(), std::min(room - 1, text.size()));
  return HSA_STATUS_SUCCESS;
}

// What is not known is said, always: a wrong guess would show far from here.
inline hsa_status_t unknown(const char* what, unsigned attribute) {
  say("%s was asked for attribute 0x%x, which it does not know", what, attribute);
  return HSA_STATUS_ERROR_INVALID_ARGUMENT;
}

}  // namespace emulation
