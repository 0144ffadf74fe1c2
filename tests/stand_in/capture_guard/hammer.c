// Captures under threads that query without pause:  hammer CAPTURES THREADS
// Every capture must live, and every event that a thread records must be seen to complete. Every
// hundredth capture stays open until a query was made in it; for all of them that would take long
// on a machine with fewer cores than threads.
#include <stdatomic.h>

#include <sched.h>

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
    int status;
    while ((status = hipEventQuery(event)) == 600) atomic_fetch_add(&queries, 1);
    CHECK(status == 0);
    if (seen++ == 0) atomic_fetch_add(&querying, 1);
    CHECK((status = hipStreamQuery(stream)) == 0 || status == 600);
    atomic_fetch_add(&queries, 1);
  } while (!atomic_load(&over));
  atomic_fetch_add(&completions, seen);
  return seen > 0 ? 0 : 1;
}

int main(int argc, char **argv) {
  CHECK(argc == 3 && hipSetDevice(0) == 0);
  const int captures = atoi(argv[1]), threads = atoi(argv[2]);
  void *capturing = new_stream(), *graph = NULL;
  struct call *started[64];
  CHECK(threads <= 64);
  for (int i = 0; i < threads; ++i) started[i] = start(query_without_pause, NULL);
  while (atomic_load(&querying) < threads) sched_yield();
  int lived = 0;
  for (int i = 0; i < captures; ++i) {
    CHECK(hipStreamBeginCapture(capturing, GLOBAL) == 0);
    const unsigned long before = atomic_load(&queries);
    while (i % 100 == 0 && atomic_load(&queries) == before) {
    }
    if (hipStreamEndCapture(capturing, &graph) != 0) continue;
    CHECK(hipGraphDestroy(graph) == 0);
    ++lived;
  }
  atomic_store(&over, true);
  for (int i = 0; i < threads; ++i) CHECK(finish(started[i]) == 0);
  printf("%d of %d captures lived; %lu completions seen, %lu queries answered by the guard\n",
         lived, captures, atomic_load(&completions), count_of(ANSWERED));
  return lived == captures ? 0 : 1;
}
