#include "kernels.h"

#include <dirent.h>
#include <dlfcn.h>
#include <sched.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <vector>

#include "machine.h"
#include "settings.h"

namespace emulation {
namespace {

bool ends_with(const std::string& text, const char* end) {
  const std::size_t length = std::strlen(end);
  return text.size() >= length && text.compare(text.size() - length, length, end) == 0;
}

using Run = void (*)(const Launch*);

template <class T>
T argument(const Launch& launch, std::size_t offset) {
  T value;
  std::memcpy(&value, static_cast<const char*>(launch.kernarg) + offset, sizeof value);
  return value;
}

// (source, destination, bytes, ...): how the work is shared out among work-items does not matter here.
void copy_buffer(const Launch* launch) {
  std::memmove(argument<void*>(*launch, 8), argument<void*>(*launch, 0),
               argument<std::uint64_t>(*launch, 16));
}

// (source, destination, then four numbers each: source and destination as row pitch, slice pitch and
// start, the size as width, height, depth and the bytes of the unit in which all of these count)
void copy_rect(const Launch* launch) {
  struct Four {
    std::uint64_t a, b, c, d;
  };
  const auto from = argument<Four>(*launch, 32), to = argument<Four>(*launch, 64),
             size = argument<Four>(*launch, 96);
  const char* const source = argument<const char*>(*launch, 0);
  char* const destination = argument<char*>(*launch, 8);
  for (std::uint64_t z = 0; z < size.c; ++z) {
    for (std::uint64_t y = 0; y < size.b; ++y) {
      std::memmove(destination + (to.c + y * to.a + z * to.b) * size.d,
                   source + (from.c + y * from.a + z * from.b) * size.d, size.a * size.d);
    }
  }
}

// (buffer, pattern, elements in the pattern, bytes of an element, end address, ...)
void fill_buffer(const Launch* launch) {
  char* const buffer = argument<char*>(*launch, 0);
  const char* const pattern = argument<const char*>(*launch, 8);
  const std::size_t bytes =
      std::size_t{argument<std::uint32_t>(*launch, 16)} * argument<std::uint32_t>(*launch, 20);
  char* const end = argument<char*>(*launch, 24);
  for (char* at = buffer; at < end; at += bytes) {
    std::memcpy(at, pattern, std::min<std::size_t>(bytes, static_cast<std::size_t>(end - at)));
  }
}

// (32-bit place, 64-bit place, value): one of the places is null.
void stream_write(const Launch* launch) {
  auto* const narrow = argument<std::uint32_t*>(*launch, 0);
  auto* const wide = argument<std::uint64_t*>(*launch, 8);
  const auto value = argument<std::uint64_t>(*launch, 16);
  if (narrow) __atomic_store_n(narrow, static_cast<std::uint32_t>(value), __ATOMIC_SEQ_CST);
  if (wide) __atomic_store_n(wide, value, __ATOMIC_SEQ_CST);
}

// (32-bit place, 64-bit place, value, condition of hipStreamWaitValue, mask)
void stream_wait(const Launch* launch) {
  auto* const narrow = argument<std::uint32_t*>(*launch, 0);
  auto* const wide = argument<std::uint64_t*>(*launch, 8);
  const auto value = argument<std::uint64_t>(*launch, 16), condition = argument<std::uint64_t>(*launch, 24);
  const auto mask = argument<std::uint64_t>(*launch, 32);
  for (;;) {
    const std::uint64_t have =
        mask & (narrow ? __atomic_load_n(narrow, __ATOMIC_SEQ_CST) : __atomic_load_n(wide, __ATOMIC_SEQ_CST));
    const bool met = condition == 0   ? static_cast<std::int64_t>(have - value) >= 0
                     : condition == 1 ? have == value
                     : condition == 2 ? (have & value) != 0
                                      : ~(have | value) != 0;
    if (met) return;
    sched_yield();
  }
}

void nothing(const Launch*) {}

const std::map<std::string, Run> kOfTheRuntime = {
    {"__amd_rocclr_copyBuffer", copy_buffer},
    {"__amd_rocclr_copyBufferRect", copy_rect},
    {"__amd_rocclr_copyBufferRectAligned", copy_rect},
    {"__amd_rocclr_fillBufferAligned", fill_buffer},
    {"__amd_rocclr_streamOpsWrite", stream_write},
    {"__amd_rocclr_streamOpsWait", stream_wait},
    {"__amd_rocclr_initHeap", nothing},  // of device-side malloc, which no kernel here calls
};

void open_library(std::vector<void*>& into, const std::string& path) {
  void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) fail("the kernels of %s cannot be loaded: %s", path.c_str(), dlerror());
  into.push_back(library);
}

// Every file NAME.kernels.so in this library's own folder, by name.
std::vector<std::string> beside() {
  Dl_info self;
  static const char here = 0;
  if (!dladdr(&here, &self) || !self.dli_fname) return {};
  const std::string file = self.dli_fname;
  const auto slash = file.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : file.substr(0, slash);
  std::vector<std::string> found;
  DIR* const entries = opendir(folder.c_str());
  if (!entries) return found;
  while (const dirent* const entry = readdir(entries)) {
    const std::string name = entry->d_name;
    if (ends_with(name, ".kernels.so")) found.push_back(folder + "/" + name);
  }
  closedir(entries);
  std::sort(found.begin(), found.end());
  return found;
}

// Those that HSA_STANDIN_KERNELS names come first: they may replace what lies beside this library.
std::vector<void*> libraries() {
  std::vector<void*> found;
  for (const std::string& path : settings().kernels) open_library(found, path);
  for (const std::string& path : beside()) open_library(found, path);
  return found;
}

Run find(const std::string& name) {
  const auto own = kOfTheRuntime.find(name);
  if (own != kOfTheRuntime.end()) return own->second;
  static const auto* const all = new std::vector<void*>(libraries());
  for (void* const library : *all) {
    if (void* const entry = dlsym(library, ("hsa_standin_kernel_" + name).c_str()))
      return reinterpret_cast<Run>(entry);
  }
  return nullptr;
}

}  // namespace

void run_kernel(const std::string& name, const Launch& launch) {
  static auto* const mutex = new std::mutex;
  static auto* const found = new std::map<std::string, Run>;
  Run run = nullptr;
  {
    const std::lock_guard<std::mutex> lock(*mutex);
    const auto [entry, fresh] = found->try_emplace(name, nullptr);
    if (fresh) entry->second = find(name);
    run = entry->second;
  }
  if (!run)
    fail("kernel %s cannot run on the CPU; add a library with it to HSA_STANDIN_KERNELS", name.c_str());
  run(&launch);
}

}  // namespace emulation
