// Devices and versions: how many, what they call themselves, who reaches whom.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>

#include "capture.h"

namespace {

using namespace standin;

// hipDeviceProp_tR0600 of ROCm 6 and 7; the stand-in fills in four of its fields.
constexpr std::size_t kPropertiesSize = 1472;
constexpr std::size_t kTotalMemoryOffset = 288;
constexpr std::size_t kWarpSizeOffset = 308;
constexpr std::size_t kArchNameOffset = 1160;
constexpr std::size_t kNameSize = 256;

std::string device_name() { return "HIP stand-in (no GPU) " + config().gfx; }

bool is_device(int device) { return device >= 0 && device < config().devices; }

void copy_text(char* to, std::size_t size, const std::string& text) {
  const std::size_t length = std::min(text.size(), size - 1);
  std::memcpy(to, text.data(), length);
  to[length] = '\0';
}

}  // namespace

extern "C" {

// As in HIP, the versions are answered on a host without a device too.
hipError_t hipRuntimeGetVersion(int* version) {
  if (!version) return remember(hipErrorInvalidValue);
  *version = config().rocm.runtime_integer();
  return hipSuccess;
}

hipError_t hipDriverGetVersion(int* version) { return hipRuntimeGetVersion(version); }

hipError_t hipInit(unsigned flags) {
  return call([&](State&, Lock&) { return flags == 0 ? hipSuccess : hipErrorInvalidValue; });
}

hipError_t hipGetDeviceCount(int* count) {
  if (!count) return remember(hipErrorInvalidValue);
  *count = config().devices;
  return *count > 0 ? hipSuccess : remember(hipErrorNoDevice);
}

hipError_t hipGetDevice(int* device) {
  return call([&](State&, Lock&) {
    if (!device) return hipErrorInvalidValue;
    *device = this_thread().device;
    return hipSuccess;
  });
}

hipError_t hipSetDevice(int device) {
  return call([&](State&, Lock&) {
    if (!is_device(device)) return hipErrorInvalidDevice;
    this_thread().device = device;
    return hipSuccess;
  });
}

hipError_t hipDeviceGetName(char* name, int size, int device) {
  return call([&](State&, Lock&) {
    if (!name || size <= 0) return hipErrorInvalidValue;
    if (!is_device(device)) return hipErrorInvalidDevice;
    copy_text(name, static_cast<std::size_t>(size), device_name());
    return hipSuccess;
  });
}

hipError_t hipGetDevicePropertiesR0600(void* properties, int device) {
  return call([&](State&, Lock&) {
    if (!properties) return hipErrorInvalidValue;
    if (!is_device(device)) return hipErrorInvalidDevice;
    char* const bytes = static_cast<char*>(properties);
    std::memset(bytes, 0, kPropertiesSize);
    copy_text(bytes, kNameSize, device_name());
    copy_text(bytes + kArchNameOffset, kNameSize, config().gfx);
    const std::uint64_t memory = kDeviceMemory;
    std::memcpy(bytes + kTotalMemoryOffset, &memory, sizeof memory);
    const int warp = 64;
    std::memcpy(bytes + kWarpSizeOffset, &warp, sizeof warp);
    return hipSuccess;
  });
}

hipError_t hipDeviceCanAccessPeer(int* can, int device, int peer) {
  return call([&](State&, Lock&) {
    if (!can) return hipErrorInvalidValue;
    if (!is_device(device) || !is_device(peer)) return hipErrorInvalidDevice;
    *can = device != peer;
    return hipSuccess;
  });
}

hipError_t hipDeviceEnablePeerAccess(int peer, unsigned flags) {
  return call([&](State& state, Lock&) {
    if (flags != 0) return hipErrorInvalidValue;
    const int device = this_thread().device;
    if (!is_device(peer) || peer == device) return hipErrorInvalidDevice;
    const bool added = state.devices[static_cast<std::size_t>(device)].peers.insert(peer).second;
    return added ? hipSuccess : hipErrorPeerAccessAlreadyEnabled;
  });
}

hipError_t hipDeviceSynchronize() {
  return call([&](State& state, Lock& lock) {
    if (const auto error = check_synchronous_call(state, hipErrorStreamCaptureUnsupported)) {
      return error;
    }
    const int device = this_thread().device;
    const auto ends = ends_of_streams(state, [&](const Stream& s) { return s.device == device; });
    lock.unlock();
    for (const auto& end : ends) end.wait();
    return hipSuccess;
  });
}
}
