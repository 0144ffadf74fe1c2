// The runtime whose calls are guarded: HIP, or CUDA, where the guard was tried on real GPUs.
#pragma once

#ifdef CAPTURE_GUARD_CUDA
#define RUNTIME_LIBRARY "libcudart"
#define CALL(name) cuda##name
// The same call where a program was compiled for per-thread default streams.
#define CALL_PER_THREAD(name) cuda##name##_ptsz
#else
#define RUNTIME_LIBRARY "libamdhip64"
#define CALL(name) hip##name
#define CALL_PER_THREAD(name) hip##name##_spt
#endif

// Statuses and handles, the same numbers in hip_runtime_api.h and driver_types.h.
enum { SUCCESS = 0, SYMBOL_NOT_FOUND = 500, NOT_READY = 600, CAPTURE_WRONG_THREAD = 908 };
enum { CAPTURE_STATUS_ACTIVE = 1 };
#define STREAM_PER_THREAD ((void *)2)
