// What the programs that test the capture guard share: the calls they make, and threads on demand.
#pragma once

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

// As a program that was compiled against hip_runtime_api.h has them; handles are opaque.
int hipSetDevice(int device);
int hipStreamCreateWithFlags(void **stream, unsigned flags);
int hipStreamDestroy(void *stream);
int hipStreamQuery(void *stream);
int hipStreamSynchronize(void *stream);
int hipStreamWaitEvent(void *stream, void *event, unsigned flags);
int hipStreamBeginCapture(void *stream, int mode);
int hipStreamEndCapture(void *stream, void **graph);
int hipStreamIsCapturing(void *stream, int *status);
int hipThreadExchangeStreamCaptureMode(int *mode);
int hipEventCreateWithFlags(void **event, unsigned flags);
int hipEventRecord(void *event, void *stream);
int hipEventQuery(void *event);
int hipEventSynchronize(void *event);
int hipGraphDestroy(void *graph);
int hipDeviceSynchronize(void);
int hipRuntimeGetVersion(int *version);

enum { GLOBAL, THREAD_LOCAL, RELAXED };
enum { NON_BLOCKING = 1, DISABLE_TIMING = 2 };
enum { EVER, OPEN, ANSWERED, HELD, WAITING };

// Not exit(): it would run the runtime's destructors while other threads are in the runtime.
#define CHECK(condition)                                                          \
  do {                                                                            \
    if (!(condition)) {                                                           \
      fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);     \
      fflush(stdout);                                                             \
      _exit(1);                                                                   \
    }                                                                             \
  } while (0)

// Says which runtime answers, on stderr: `runtime VERSION LIBRARY EMULATOR`; "-": no emulator.
static inline int say_runtime(void) {
  int version = 0;
  Dl_info hip = {0}, emulator = {.dli_fname = "-"};
  CHECK(hipRuntimeGetVersion(&version) == 0);
  CHECK(dladdr(dlsym(RTLD_DEFAULT, "hipRuntimeGetVersion"), &hip) != 0);
  void *emulated = dlsym(RTLD_DEFAULT, "hsa_standin_version");
  CHECK(!emulated || dladdr(emulated, &emulator) != 0);
  fprintf(stderr, "runtime %d %s %s\n", version, hip.dli_fname, emulator.dli_fname);
  return version;
}

// One of the guard's counts; 0 where the guard is not loaded.
static inline unsigned long count_of(int which) {
  void (*counts)(unsigned long *) =
      (void (*)(unsigned long *))dlsym(RTLD_DEFAULT, "capture_guard_counts");
  unsigned long all[5] = {0};
  if (counts) counts(all);
  return all[which];
}

static inline void *new_stream(void) {
  void *stream = NULL;
  CHECK(hipStreamCreateWithFlags(&stream, NON_BLOCKING) == 0);
  return stream;
}

// An event that work on `stream` has already passed.
static inline void *passed_event(void *stream) {
  void *event = NULL;
  CHECK(hipEventCreateWithFlags(&event, DISABLE_TIMING) == 0);
  CHECK(hipEventRecord(event, stream) == 0);
  CHECK(hipStreamSynchronize(stream) == 0);
  return event;
}

// A call on a thread of its own, in THREAD_LOCAL mode as PyTorch's watchdog.
struct call {
  int (*function)(void *);
  void *argument;
  int status;
  pthread_t thread;
};

static inline void *make_call(void *given) {
  struct call *call = given;
  int mode = THREAD_LOCAL;
  CHECK(hipSetDevice(0) == 0 && hipThreadExchangeStreamCaptureMode(&mode) == 0);
  call->status = call->function(call->argument);
  return NULL;
}

static inline struct call *start(int (*function)(void *), void *argument) {
  struct call *call = calloc(1, sizeof *call);
  call->function = function;
  call->argument = argument;
  CHECK(pthread_create(&call->thread, NULL, make_call, call) == 0);
  return call;
}

static inline int finish(struct call *call) {
  CHECK(pthread_join(call->thread, NULL) == 0);
  const int status = call->status;
  free(call);
  return status;
}

static inline int elsewhere(int (*function)(void *), void *argument) {
  return finish(start(function, argument));
}
