#pragma once

#include <cstring>
#include <string>

namespace emulation {

inline bool ends_with(const std::string& text, const char* end) {
  const std::size_t length = std::strlen(end);
  return text.size() >= length && text.compare(text.size() - length, length, end) == 0;
}

}  // namespace emulation
