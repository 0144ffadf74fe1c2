// HIP kernels as C++ for the CPU: included before a kernel source by build_kernels.sh.
//
// Each kernel becomes hsa_standin_kernel_NAME, which takes its arguments out of the kernarg segment:
// in their order, each aligned as its type is, as AMDGPUUsage describes. No shared memory and no
// __syncthreads: the work-items run one after the other.
#pragma once

#include <math.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>

#define __HIPCC_RTC__ 1
#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __threadfence() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define __threadfence_block() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define __threadfence_system() __atomic_thread_fence(__ATOMIC_SEQ_CST)
// A kernel that polls gives its core away: the kernel it waits for may need it.
#define SPIN_PAUSE() sched_yield()
#define __builtin_amdgcn_s_sleep(cycles) sched_yield()

namespace emulation {

struct Three {
  unsigned x, y, z;
};

// As src/kernels.h has it.
struct Launch {
  Three threads, items;
  const void* kernarg;
};

}  // namespace emulation

static thread_local emulation::Three blockIdx, threadIdx, blockDim, gridDim;

namespace emulation {

template <size_t... i>
struct Places {};

// Where each argument lies: the offset of the one before, its size, aligned.
template <class... A>
struct Layout {
  static constexpr size_t sizes[] = {sizeof(A)..., 0};
  static constexpr size_t alignments[] = {alignof(A)..., 1};
  static constexpr size_t offset(size_t which) {
    size_t at = 0;
    for (size_t i = 0;; ++i) {
      at = (at + alignments[i] - 1) / alignments[i] * alignments[i];
      if (i == which) return at;
      at += sizes[i];
    }
  }
};

template <auto kernel>
struct Kernel;

template <class... A, void (*kernel)(A...)>
struct Kernel<kernel> {
  template <size_t... i>
  static void loop(const Launch& launch, Places<i...>) {
    const char* const arguments = static_cast<const char*>(launch.kernarg);
    blockDim = launch.threads;
    gridDim = {(launch.items.x + blockDim.x - 1) / blockDim.x, (launch.items.y + blockDim.y - 1) / blockDim.y,
               (launch.items.z + blockDim.z - 1) / blockDim.z};
    for (unsigned z = 0; z < launch.items.z; ++z) {
      for (unsigned y = 0; y < launch.items.y; ++y) {
        for (unsigned x = 0; x < launch.items.x; ++x) {
          blockIdx = {x / blockDim.x, y / blockDim.y, z / blockDim.z};
          threadIdx = {x % blockDim.x, y % blockDim.y, z % blockDim.z};
          kernel(*reinterpret_cast<const A*>(arguments + Layout<A...>::offset(i))...);
        }
      }
    }
  }
  static void run(const Launch* launch) { loop(*launch, Places<__integer_pack(sizeof...(A))...>()); }
};

}  // namespace emulation

#define HSA_STANDIN_KERNEL(name)                                                    \
  extern "C" __attribute__((visibility("default"))) void hsa_standin_kernel_##name( \
      const emulation::Launch* launch) {                                          \
    emulation::Kernel<name>::run(launch);                                         \
  }
