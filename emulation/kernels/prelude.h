// HIP kernels as C++ for the CPU: included before a kernel source by build_kernels.sh.
//
// Each kernel becomes hsa_standin_kernel_NAME, which takes its arguments out of the kernarg segment: in their
// order, each aligned as its type is, as AMDGPUUsage describes. Blocks run one after the other, and so do the
// work-items of a block; those that wait at __syncthreads are fibres (fibres.h). There are no wavefronts: no
// shuffles, no votes, no barrier of the whole grid.
#pragma once

#include <math.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "launch.h"

#define __HIPCC_RTC__ 1
#define __global__
#define __device__
#define __host__
#define __constant__ static
// One block runs on a thread at a time, and shares what is the thread's.
#define __shared__ static __thread
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __threadfence() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define __threadfence_block() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define __threadfence_system() __atomic_thread_fence(__ATOMIC_SEQ_CST)
// A kernel that polls gives its core away: the kernel it waits for may need it.
#define SPIN_PAUSE() sched_yield()
#define __builtin_amdgcn_s_sleep(cycles) sched_yield()

static __thread emulation::Three blockIdx, threadIdx, blockDim, gridDim;

#ifdef EMULATION_DYNAMIC_SHARED
// `extern __shared__ T name[];` becomes another name of this; 160 KiB are all that a gfx950 has.
extern "C"
    __attribute__((visibility("hidden"), aligned(16))) __thread char emulation_dynamic_shared[160 << 10];
__thread char emulation_dynamic_shared[160 << 10];
#endif

#ifdef EMULATION_BARRIERS
#include "fibres.h"
#define __syncthreads() emulation::wait_at_barrier()
#endif

template <class T>
T atomicCAS(T* place, T expected, T value) {
  __atomic_compare_exchange(place, &expected, &value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
  return expected;
}

namespace emulation {

template <class T, class Change>
T change_atomically(T* place, Change change) {
  T before;
  __atomic_load(place, &before, __ATOMIC_SEQ_CST);
  for (;;) {
    T after = change(before);
    if (__atomic_compare_exchange(place, &before, &after, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
      return before;
  }
}

template <class T>
struct Same {
  using type = T;
};

}  // namespace emulation

#define EMULATION_ATOMIC(name, result)                                                     \
  template <class T>                                                                       \
  T name(T* place, typename emulation::Same<T>::type value) {                              \
    return emulation::change_atomically(place, [value](T before) -> T { return result; }); \
  }
EMULATION_ATOMIC(atomicAdd, before + value)
EMULATION_ATOMIC(atomicSub, before - value)
EMULATION_ATOMIC(atomicExch, value)
EMULATION_ATOMIC(atomicMin, before < value ? before : value)
EMULATION_ATOMIC(atomicMax, before > value ? before : value)
EMULATION_ATOMIC(atomicAnd, before& value)
EMULATION_ATOMIC(atomicOr, before | value)
EMULATION_ATOMIC(atomicXor, before ^ value)

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

inline unsigned least(unsigned a, unsigned b) { return a < b ? a : b; }

template <auto kernel>
struct Kernel;

template <class... A, void (*kernel)(A...)>
struct Kernel<kernel> {
  template <size_t... i>
  static void call(const char* arguments, Places<i...>) {
    kernel(*reinterpret_cast<const A*>(arguments + Layout<A...>::offset(i))...);
  }

  static void item(const Launch& launch) {
    call(static_cast<const char*>(launch.kernarg), Places<__integer_pack(sizeof...(A))...>());
  }

  // The work-items of one block; the last block of a row may have fewer.
  static void block(const Launch& launch) {
    const Three size = {least(blockDim.x, launch.items.x - blockIdx.x * blockDim.x),
                        least(blockDim.y, launch.items.y - blockIdx.y * blockDim.y),
                        least(blockDim.z, launch.items.z - blockIdx.z * blockDim.z)};
#ifdef EMULATION_BARRIERS
    run_block(launch, size, item, &threadIdx);
#else
    for (unsigned z = 0; z < size.z; ++z) {
      for (unsigned y = 0; y < size.y; ++y) {
        for (unsigned x = 0; x < size.x; ++x) {
          threadIdx = {x, y, z};
          item(launch);
        }
      }
    }
#endif
  }

  static void run(const Launch& launch) {
    blockDim = launch.threads;
    gridDim = {(launch.items.x + blockDim.x - 1) / blockDim.x, (launch.items.y + blockDim.y - 1) / blockDim.y,
               (launch.items.z + blockDim.z - 1) / blockDim.z};
    const Three grid = gridDim;
    for (unsigned z = 0; z < grid.z; ++z) {
      for (unsigned y = 0; y < grid.y; ++y) {
        for (unsigned x = 0; x < grid.x; ++x) {
          blockIdx = {x, y, z};
          block(launch);
        }
      }
    }
  }
};

}  // namespace emulation

extern "C" __attribute__((visibility("default"))) const int hsa_standin_kernels_version;
const int hsa_standin_kernels_version = HSA_STANDIN_KERNELS_VERSION;

#define HSA_STANDIN_KERNEL(name)                                                    \
  extern "C" __attribute__((visibility("default"))) void hsa_standin_kernel_##name( \
      const emulation::Launch* launch) {                                            \
    emulation::Kernel<name>::run(*launch);                                          \
  }
