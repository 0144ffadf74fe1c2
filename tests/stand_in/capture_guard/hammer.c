// Captures under threads that query without pause:  hammer CAPTURES THREADS [CAPTURING THREADS]
// Every capture must live, and every event that a thread records must be seen to complete. Every
// hundredth capture stays open until queries were made in it; for all of them that would take long
// on a machine with fewer cores than threads.
#include <sched.h>
#include <stdatomic.h>

#include "scenario.h"

static atomic_bool over;
static atomic_int querying;
static atomic_ulong queries, completions;

static int query_without_pause(void *unused) {
  (void)unused;
  void *stream = new_stream(), *event = NULL;
  CHECK(hipEventCreateWithFlags(&event, DISABLE_TIMING) == 0);
  unsigned long seen = 0;
  do {
    CHECK(hipEventRecord(event, stream) == 0);
    int status, of_stream;
    do {
      CHECK((status = hipEventQuery(event)) == 0 || status == 600);
      CHECK((of_stream = hipStreamQuery(stream)) == 0 || of_stream == 600);
      atomic_fetch_add(&queries, 1);
    } while (status == 600);
    if (seen++ == 0) atomic_fetch_add(&querying, 1);
  } while (!atomic_load(&over));
  atomic_fetch_add(&completions, seen);
  return seen > 0 ? 0 : 1;
}

static int captures, threads;

// Returns how many captures did not live.
static int capture_again_and_again(void *unused) {
  void *capturing = new_stream(), *graph = NULL;
  (void)unused;
  int died = 0;
  for (int i = 0; i < captures; ++i) {
    CHECK(hipStreamBeginCapture(capturing, GLOBAL) == 0);
    // Each thread may count one that it made before; the next is of both kinds, and in the capture.
    const unsigned long enough = atomic_load(&queries) + (unsigned long)threads + 1;
    while (i % 100 == 0 && atomic_load(&queries) < enough) {
    }
    if (hipStreamEndCapture(capturing, &graph) == 0) {
      CHECK(hipGraphDestroy(graph) == 0);
    } else {
      ++died;
    }
  }
  return died;
}

int main(int argc, char **argv) {
  CHECK(argc >= 3 && hipSetDevice(0) == 0);
  say_runtime();
  captures = atoi(argv[1]);
  threads = atoi(argv[2]);
  const int capturing_threads = argc > 3 ? atoi(argv[3]) : 1;
  struct call *started[64], *capturing[8];
  CHECK(threads <= 64 && capturing_threads <= 8);
  for (int i = 0; i < threads; ++i) started[i] = start(query_without_pause, NULL);
  while (atomic_load(&querying) < threads) sched_yield();
  for (int i = 0; i < capturing_threads; ++i) {
    capturing[i] = start(capture_again_and_again, NULL);
  }
  int died = 0;
  for (int i = 0; i < capturing_threads; ++i) died += finish(capturing[i]);
  atomic_store(&over, true);
  for (int i = 0; i < threads; ++i) CHECK(finish(started[i]) == 0);
  const int all = captures * capturing_threads;
  printf("%d of %d captures lived; %lu completions seen, %lu queries answered by the guard\n",
         all - died, all, atomic_load(&completions), count_of(ANSWERED));
  return died == 0 ? 0 : 1;
}
