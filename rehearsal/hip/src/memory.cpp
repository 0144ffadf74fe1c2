// Memory, which is all the host's: allocate, free, copy, fill.
#include <cstdlib>
#include <cstring>

#include "capture.h"

namespace {

using namespace standin;

constexpr std::size_t kAlignment = 256;
constexpr std::size_t kIpcHandleSize = 64;

hipError_t allocate(State& state, void** pointer, std::size_t size, bool on_host) {
  if (!pointer) return hipErrorInvalidValue;
  *pointer = nullptr;
  if (size == 0) return hipSuccess;
  const int index = this_thread().device;
  Device& device = state.devices[static_cast<std::size_t>(index)];
  if (!on_host && size > kDeviceMemory - device.allocated) return hipErrorOutOfMemory;
  const std::size_t padded = (size + kAlignment - 1) / kAlignment * kAlignment;
  void* const made = std::aligned_alloc(kAlignment, padded);
  if (!made) return hipErrorOutOfMemory;
  state.allocations[made] = {size, index, on_host};
  if (!on_host) device.allocated += size;
  *pointer = made;
  return hipSuccess;
}

// Waits for all work first, as HIP does: a queued kernel may still use the memory.
hipError_t release(void* pointer, bool on_host) {
  return call([&](State& state, Lock& lock) {
    if (const auto error = check_unsafe_call(state)) return error;
    if (!pointer) return hipSuccess;
    const auto found = state.allocations.find(pointer);
    if (found == state.allocations.end() || found->second.on_host != on_host) {
      return hipErrorInvalidValue;
    }
    const Allocation allocation = found->second;
    state.allocations.erase(found);
    if (!on_host) {
      state.devices[static_cast<std::size_t>(allocation.device)].allocated -= allocation.size;
    }
    const auto ends = ends_of_streams(state, [](const Stream&) { return true; });
    lock.unlock();
    for (const auto& end : ends) end.wait();
    std::free(pointer);
    return hipSuccess;
  });
}

// The synchronous copies and fills: on the legacy stream, and done on return.
hipError_t run_now(Task task) {
  return call([&](State& state, Lock& lock) {
    if (const auto error = check_synchronous_call(state, hipErrorStreamCaptureImplicit)) {
      return error;
    }
    Marker end;
    if (const auto error = submit(state, nullptr, std::move(task), &end)) return error;
    lock.unlock();
    end.wait();
    return hipSuccess;
  });
}

bool is_kind(hipMemcpyKind kind) {
  return kind >= hipMemcpyHostToHost && kind <= hipMemcpyDefault;
}

Task copy(void* to, const void* from, std::size_t size) {
  return [=] { std::memmove(to, from, size); };
}

// An eager copy from pageable host memory reads it before it returns; the caller may reuse it.
Task copy_of_now(void* to, const void* from, std::size_t size) {
  const auto* const bytes = static_cast<const char*>(from);
  auto staged = std::make_shared<const std::vector<char>>(bytes, bytes + size);
  return [=] { std::memcpy(to, staged->data(), size); };
}

bool is_capturing(State& state, hipStream_t handle) {
  const auto stream = state.streams.find(handle);
  return stream && stream->capture;
}

}  // namespace

extern "C" {

hipError_t hipMalloc(void** pointer, size_t size) {
  return call([&](State& state, Lock&) {
    if (const auto error = check_unsafe_call(state)) return error;
    return allocate(state, pointer, size, false);
  });
}

// Unlike hipMalloc it harms no capture. The flags choose a cache policy, which host memory has not.
hipError_t hipExtMallocWithFlags(void** pointer, size_t size, unsigned) {
  return call([&](State& state, Lock&) { return allocate(state, pointer, size, false); });
}

hipError_t hipHostMalloc(void** pointer, size_t size, unsigned) {
  return call([&](State& state, Lock&) {
    if (const auto error = check_unsafe_call(state)) return error;
    return allocate(state, pointer, size, true);
  });
}

hipError_t hipFree(void* pointer) { return release(pointer, false); }

hipError_t hipHostFree(void* pointer) { return release(pointer, true); }

hipError_t hipMemGetInfo(size_t* available, size_t* total) {
  return call([&](State& state, Lock&) {
    if (!available || !total) return hipErrorInvalidValue;
    const auto device = static_cast<std::size_t>(this_thread().device);
    *total = kDeviceMemory;
    *available = kDeviceMemory - state.devices[device].allocated;
    return hipSuccess;
  });
}

hipError_t hipIpcGetMemHandle(void* handle, void* pointer) {
  return call([&](State& state, Lock&) {
    if (!handle || state.allocations.count(pointer) == 0) return hipErrorInvalidValue;
    std::memset(handle, 0, kIpcHandleSize);
    std::memcpy(handle, &pointer, sizeof pointer);
    return hipSuccess;
  });
}

hipError_t hipMemcpy(void* to, const void* from, size_t size, hipMemcpyKind kind) {
  if (!is_kind(kind)) return remember(hipErrorInvalidMemcpyDirection);
  if (size > 0 && (!to || !from)) return remember(hipErrorInvalidValue);
  return run_now(copy(to, from, size));
}

hipError_t hipMemcpyDtoH(void* to, void* from, size_t size) {
  return hipMemcpy(to, from, size, hipMemcpyDeviceToHost);
}

hipError_t hipMemcpyDtoD(void* to, void* from, size_t size) {
  return hipMemcpy(to, from, size, hipMemcpyDeviceToDevice);
}

hipError_t hipMemcpyPeer(void* to, int to_device, const void* from, int from_device, size_t size) {
  const auto is_device = [](int device) { return device >= 0 && device < config().devices; };
  if (!is_device(to_device) || !is_device(from_device)) return remember(hipErrorInvalidDevice);
  return hipMemcpy(to, from, size, hipMemcpyDeviceToDevice);
}

hipError_t hipMemcpy2D(void* to, size_t to_pitch, const void* from, size_t from_pitch,
                       size_t width, size_t height, hipMemcpyKind kind) {
  if (!is_kind(kind)) return remember(hipErrorInvalidMemcpyDirection);
  if (!to || !from || width > to_pitch || width > from_pitch) return remember(hipErrorInvalidValue);
  return run_now([=] {
    for (std::size_t line = 0; line < height; ++line) {
      std::memcpy(static_cast<char*>(to) + line * to_pitch,
                  static_cast<const char*>(from) + line * from_pitch, width);
    }
  });
}

hipError_t hipMemsetD8(void* to, unsigned char value, size_t size) {
  return hipMemset(to, value, size);
}

hipError_t hipMemcpyAsync(void* to, const void* from, size_t size, hipMemcpyKind kind,
                          hipStream_t stream) {
  return call([&](State& state, Lock&) {
    if (!is_kind(kind)) return hipErrorInvalidMemcpyDirection;
    if (size > 0 && (!to || !from)) return hipErrorInvalidValue;
    const bool stage = kind == hipMemcpyHostToDevice && !is_capturing(state, stream);
    return submit(state, stream, stage ? copy_of_now(to, from, size) : copy(to, from, size));
  });
}

hipError_t hipMemset(void* to, int value, size_t size) {
  if (size > 0 && !to) return remember(hipErrorInvalidValue);
  return run_now([=] { std::memset(to, value, size); });
}

hipError_t hipMemsetAsync(void* to, int value, size_t size, hipStream_t stream) {
  return call([&](State& state, Lock&) {
    if (size > 0 && !to) return hipErrorInvalidValue;
    return submit(state, stream, [=] { std::memset(to, value, size); });
  });
}
}
