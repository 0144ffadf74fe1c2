#include "hip.h"

#include <dlfcn.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

namespace replay_fuzz {
namespace {

void* library = nullptr;

}  // namespace

void load_hip(const char* path) {
  library = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
  if (library) return;
  std::printf("cannot load %s: %s\n", path, dlerror());
  leave(kUsage);
}

void* hip_function(const char* name) {
  static std::map<std::string, void*> found;
  void*& entry = found[name];
  if (!entry) entry = dlsym(library, name);
  if (entry) return entry;
  std::printf("the library has no function %s\n", name);
  leave(kUsage);
}

void leave(int status) {
  std::fflush(stdout);
  _exit(status);
}

void refused(const char* function, int error) {
  std::printf("REFUSED %s: error %d\n", function, error);
  leave(kRefused);
}

Handle new_stream() {
  constexpr u32 kNonBlocking = 1;
  Handle stream = nullptr;
  hip("hipStreamCreateWithFlags", &stream, kNonBlocking);
  return stream;
}

Handle new_event() {
  constexpr u32 kDisableTiming = 2;
  Handle event = nullptr;
  hip("hipEventCreateWithFlags", &event, kDisableTiming);
  return event;
}

void record(Handle event, Handle stream) { hip("hipEventRecord", event, stream); }

void wait(Handle stream, Handle event) { hip("hipStreamWaitEvent", stream, event, 0u); }

void synchronize() { hip("hipDeviceSynchronize"); }

void launch(Handle function, u32 blocks, u32 threads, Handle stream, void** arguments) {
  void** const extra = nullptr;
  hip("hipModuleLaunchKernel", function, blocks, 1u, 1u, threads, 1u, 1u, 0u, stream, arguments, extra);
}

Handle instantiate(Handle graph) {
  Handle exec = nullptr;
  Handle* const error_node = nullptr;
  char* const log = nullptr;
  hip("hipGraphInstantiate", &exec, graph, error_node, log, std::size_t{0});
  return exec;
}

std::vector<char> read_image(const char* path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    std::printf("cannot read %s: make it with compile_kernels.py\n", path);
    leave(kUsage);
  }
  return {std::istreambuf_iterator<char>(file), {}};
}

Handle load_module(const std::vector<char>& image) {
  Handle module = nullptr;
  hip("hipModuleLoadData", &module, static_cast<const void*>(image.data()));
  return module;
}

}  // namespace replay_fuzz
