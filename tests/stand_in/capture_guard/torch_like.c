// A library as torch's libraries are: linked to versioned symbols of the runtime, and loaded by a
// program that knows nothing of the runtime.  As a program of its own (-DLOADER): loader LIBRARY
#ifdef LOADER
#include <dlfcn.h>
#include <stdio.h>

// As Python loads extension modules: outside of the global scope, where RTLD_NEXT does not look.
int main(int argc, char **argv) {
  void *library = argc == 2 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
  int (*play)(void) = library ? (int (*)(void))dlsym(library, "play") : NULL;
  if (play) return play();
  fprintf(stderr, "%s\n", dlerror());
  return 2;
}
#else
#include <sched.h>
#include <stdatomic.h>

#include "scenario.h"

extern atomic_int calls_that_arrived;
int hipStreamQuery_spt(void *stream);
int hipStreamSynchronize_spt(void *stream);
int hipStreamBeginCapture_spt(void *stream, int mode);
int hipStreamEndCapture_spt(void *stream, void **graph);
int hipSetDevice(int device) { return (void)device, 0; }
int hipThreadExchangeStreamCaptureMode(int *mode) { return (void)mode, 0; }

static atomic_int turn;

static int capture_on_its_own_default_stream(void *unused) {
  void *graph = NULL;
  (void)unused;
  CHECK(hipStreamBeginCapture_spt(NULL, GLOBAL) == 0);
  atomic_fetch_add(&turn, 1);
  while (atomic_load(&turn) < 3) sched_yield();
  return hipStreamEndCapture_spt(NULL, &graph);
}

int play(void) {
  int (*const queries[])(void *) = {hipEventQuery, hipStreamQuery, hipStreamQuery_spt};
  int (*const waits[])(void *) = {hipEventSynchronize, hipStreamSynchronize,
                                  hipStreamSynchronize_spt};
  void *const stream = &turn, *graph = NULL;
  const bool guarded = dlsym(RTLD_DEFAULT, "capture_guard_counts") != NULL;
  CHECK(hipStreamBeginCapture(stream, GLOBAL) == 0);
  for (int i = 0; i < 3; ++i) CHECK(elsewhere(queries[i], NULL) == (guarded ? 600 : 0));
  CHECK(calls_that_arrived == (guarded ? 0 : 3));
  struct call *waiting[3];
  for (int i = 0; i < 3; ++i) waiting[i] = start(waits[i], NULL);
  while (guarded && count_of(WAITING) < 3) sched_yield();
  CHECK(!guarded || calls_that_arrived == 0);
  CHECK(hipStreamEndCapture(stream, &graph) == 0);
  for (int i = 0; i < 3; ++i) CHECK(finish(waiting[i]) == 0);
  for (int i = 0; i < 3; ++i) CHECK(elsewhere(queries[i], NULL) == 0);
  CHECK(calls_that_arrived == (guarded ? 6 : 9));

  // The default streams of two threads have one handle and are two streams.
  struct call *first = start(capture_on_its_own_default_stream, NULL);
  struct call *second = start(capture_on_its_own_default_stream, NULL);
  while (atomic_load(&turn) < 2) sched_yield();
  CHECK(count_of(OPEN) == (guarded ? 2 : 0));
  CHECK(elsewhere(hipStreamQuery_spt, NULL) == (guarded ? 600 : 0));
  atomic_store(&turn, 3);
  CHECK(finish(first) == 0 && finish(second) == 0);
  CHECK(count_of(OPEN) == 0 && elsewhere(hipStreamQuery_spt, NULL) == 0);
  puts(guarded ? "guarded" : "not guarded");
  return 0;
}
#endif
