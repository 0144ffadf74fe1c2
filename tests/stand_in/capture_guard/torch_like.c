// A library as torch's libraries are: linked to versioned symbols of the runtime, the per-thread
// ones among them, and loaded by a program that knows nothing of the runtime, which calls play().
#include <sched.h>
#include <stdatomic.h>

#include "scenario.h"

int hipStreamQuery_spt(void *stream);
int hipStreamSynchronize_spt(void *stream);
int hipStreamBeginCapture_spt(void *stream, int mode);
int hipStreamEndCapture_spt(void *stream, void **graph);

static atomic_int turn;

static int capture_on_its_own_default_stream(void *unused) {
  void *graph = NULL;
  (void)unused;
  CHECK(hipStreamBeginCapture_spt(NULL, GLOBAL) == 0);
  atomic_fetch_add(&turn, 1);
  while (atomic_load(&turn) < 3) sched_yield();
  return hipStreamEndCapture_spt(NULL, &graph);
}

// The statuses of other threads' queries in a capture, of the capture's end, and of what waited.
int play(void) {
  say_runtime();
  CHECK(hipSetDevice(0) == 0);
  void *capturing = new_stream(), *other = new_stream(), *graph = NULL;
  void *const before = passed_event(capturing);
  int (*const queries[])(void *) = {hipEventQuery, hipStreamQuery, hipStreamQuery_spt};
  int (*const waits[])(void *) = {hipEventSynchronize, hipStreamSynchronize,
                                  hipStreamSynchronize_spt};
  void *const handles[] = {before, other, NULL};
  CHECK(hipStreamBeginCapture(capturing, GLOBAL) == 0);
  for (int i = 0; i < 3; ++i) printf("%d ", elsewhere(queries[i], handles[i]));
  const bool guarded = dlsym(RTLD_DEFAULT, "capture_guard_counts") != NULL;
  struct call *waiting[3];
  for (int i = 0; i < 3; ++i) waiting[i] = start(waits[i], handles[i]);
  while (guarded && count_of(WAITING) < 3) sched_yield();
  for (int i = 0; !guarded && i < 3; ++i) printf("%d ", finish(waiting[i]));
  printf("%d ", hipStreamEndCapture(capturing, &graph));
  for (int i = 0; guarded && i < 3; ++i) printf("%d ", finish(waiting[i]));

  // The default streams of two threads have one handle and are two streams.
  struct call *first = start(capture_on_its_own_default_stream, NULL);
  struct call *second = start(capture_on_its_own_default_stream, NULL);
  while (atomic_load(&turn) < 2) sched_yield();
  CHECK(count_of(OPEN) == (guarded ? 2 : 0));
  printf("%d ", elsewhere(hipStreamQuery_spt, NULL));
  atomic_store(&turn, 3);
  printf("%d ", finish(first));
  printf("%d\n", finish(second));
  fflush(stdout);
  CHECK(count_of(OPEN) == 0);
  return 0;
}
