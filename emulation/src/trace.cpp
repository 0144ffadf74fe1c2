#include "trace.h"

#include <cstdarg>
#include <cstdio>
#include <string>

#include "settings.h"

namespace emulation {

static std::FILE* trace_file() {
  static std::FILE* const file = [] {
    const std::string& name = settings().trace;
    return name.empty() ? nullptr : std::fopen(name.c_str(), "w");
  }();
  return file;
}

bool tracing() { return trace_file() != nullptr; }

void trace(const char* format, ...) {
  std::FILE* const file = trace_file();
  if (!file) return;
  char line[512];
  va_list arguments;
  va_start(arguments, format);
  const int length = std::vsnprintf(line, sizeof line - 1, format, arguments);
  va_end(arguments);
  line[length] = '\n';
  std::fwrite(line, 1, static_cast<std::size_t>(length) + 1, file);
  std::fflush(file);
}

}  // namespace emulation
