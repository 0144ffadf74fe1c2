#include "device.h"

namespace replay_fuzz {
namespace {

const char* const kNames[kKernels] = {"f_const",   "f_map",     "f_inplace", "f_add",
                                      "f_block64", "f_block1k", "f_block4k"};

// A stream that has worked holds a hardware queue, so the streams that come after it share other ones.
void use_a_hardware_queue() {
  const Handle stream = new_stream();
  constexpr std::size_t kBytes = 64;
  hip("hipMemsetAsync", static_cast<void*>(device_array<char>(kBytes)), 0, std::size_t{kBytes}, stream);
}

}  // namespace

Device make_device(const char* image, const Options& options, int launchers) {
  Device made;
  const Handle module = load_module(read_image(image));
  for (int kind = 0; kind < kKernels; ++kind) {
    hip("hipModuleGetFunction", &made.functions[kind], module, kNames[kind]);
  }
  for (long i = 0; i < options.extra; ++i) use_a_hardware_queue();
  for (int i = 0; i < launchers; ++i) made.launchers.push_back(new_stream());
  if (options.null_stream) made.launchers[0] = nullptr;
  for (long i = 1; i < options.streams; ++i) made.sides.push_back(new_stream());
  made.capturer = new_stream();
  return made;
}

}  // namespace replay_fuzz
