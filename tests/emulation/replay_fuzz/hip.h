// Calls AMD's HIP runtime by name: the library is given at run time, so one program serves every version.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace replay_fuzz {

using u32 = std::uint32_t;
using Handle = void*;  // a stream, event, graph, node, module or function of HIP

// What the programs of this folder exit with; run_fuzz.py reads them.
enum Exit : int { kRight = 0, kUsage = 1, kWrong = 2, kRefused = 3 };

enum CopyKind : int { kHostToDevice = 1, kDeviceToHost = 2, kDeviceToDevice = 3 };

void load_hip(const char* library);
void* hip_function(const char* name);

// Ends the process without the destructors of HIP, which would wait for work that hangs.
[[noreturn]] void leave(int status);
[[noreturn]] void refused(const char* function, int error);

// The arguments' types must be those of HIP's declaration: `std::size_t{4}`, `0u`, `(void*)pointer`.
template <class... A>
int ask_hip(const char* name, A... arguments) {
  return reinterpret_cast<int (*)(A...)>(hip_function(name))(arguments...);
}

// As ask_hip; an error ends the process with kRefused.
template <class... A>
void hip(const char* name, A... arguments) {
  if (const int error = ask_hip(name, arguments...)) refused(name, error);
}

Handle new_stream();  // non-blocking
Handle new_event();   // without timing
void record(Handle event, Handle stream);
void wait(Handle stream, Handle event);
void synchronize();  // the device
void launch(Handle function, u32 blocks, u32 threads, Handle stream, void** arguments);
Handle instantiate(Handle graph);
std::vector<char> read_image(const char* path);  // a code object
Handle load_module(const std::vector<char>& image);

template <class T>
T* device_array(std::size_t count) {
  void* at = nullptr;
  hip("hipMalloc", &at, count * sizeof(T));
  return static_cast<T*>(at);
}

}  // namespace replay_fuzz
