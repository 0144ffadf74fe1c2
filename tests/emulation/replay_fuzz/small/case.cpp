#include "case.h"

namespace replay_fuzz {
namespace {

Handle function_of(Handle module, const char* name) {
  Handle found = nullptr;
  hip("hipModuleGetFunction", &found, module, name);
  return found;
}

}  // namespace

Kernels::Kernels(const Image& image) {
  const Handle module = load_module(image);
  in_place = function_of(module, "f_inplace");
  map = function_of(module, "f_map");
  block4k = function_of(module, "f_block4k");
}

u32* zeroed(u32 words) {
  u32* const made = device_array<u32>(words);
  hip("hipMemset", static_cast<void*>(made), 0, words * sizeof(u32));
  return made;
}

// One work-item each: on the emulator a kernel's time is that of its words.
void in_place(const Kernels& kernels, Handle stream, u32* buffer, u32 words) {
  u32 by = kBy;
  void* arguments[] = {&buffer, &words, &by};
  launch(kernels.in_place, 1, 1, stream, arguments);
}

void map(const Kernels& kernels, Handle stream, u32* to, const u32* from) {
  u32 words = kFew, by = kBy;
  void* arguments[] = {&to, &from, &words, &by};
  launch(kernels.map, 1, 1, stream, arguments);
}

void follow(Handle waits, Handle first) {
  const Handle event = new_event();
  record(event, first);
  wait(waits, event);
}

u32 first_word(const u32* buffer) {
  u32 word = 0;
  synchronize();
  hip("hipMemcpy", static_cast<void*>(&word), static_cast<const void*>(buffer), sizeof word,
      int{kDeviceToHost});
  return word;
}

void begin_capture(Handle stream) {
  constexpr int kGlobal = 0;
  hip("hipStreamBeginCapture", stream, kGlobal);
}

Handle end_capture(Handle stream) {
  Handle graph = nullptr;
  hip("hipStreamEndCapture", stream, &graph);
  return instantiate(graph);
}

void replay(Handle exec, Handle stream) { hip("hipGraphLaunch", exec, stream); }

}  // namespace replay_fuzz
