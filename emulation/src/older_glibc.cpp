// What libstdc++.a of a new distribution asks of glibc, and glibc 2.35 (Ubuntu 22.04) does not have. It is
// defined here, so that the library loads there; hsa.map keeps it inside.
#include <sys/random.h>

#include <cstdint>

extern "C" {

// glibc 2.38: strtoul of C23. libstdc++ reads GLIBCXX_TUNABLES with it, decimal numbers.
unsigned long __isoc23_strtoul(const char* text, char** end, int) {
  unsigned long value = 0;
  for (; *text >= '0' && *text <= '9'; ++text) value = value * 10 + static_cast<unsigned long>(*text - '0');
  if (end) *end = const_cast<char*>(text);
  return value;
}

// glibc 2.36; in std::random_device, which is linked and not used.
std::uint32_t arc4random() {
  std::uint32_t value = 0;
  while (getrandom(&value, sizeof value, 0) != sizeof value) {
  }
  return value;
}
}
