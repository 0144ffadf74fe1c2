// Nanoseconds of a query while no capture is open:  query_cost THREADS ROUNDS
// Prints the best round of the best thread, as nanoseconds a call. With -DEMPTY_RUNTIME this file is, instead, a
// runtime whose calls do nothing, so that what is measured is the guard and little else.
#ifdef EMPTY_RUNTIME
int hipEventQuery(void *event) { return event ? 0 : 1; }
#else
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#ifdef CAPTURE_GUARD_CUDA
#define EventQuery cudaEventQuery
int cudaEventCreateWithFlags(void **event, unsigned flags);
int cudaEventRecord(void *event, void *stream);
int cudaEventSynchronize(void *event);
int cudaEventQuery(void *event);
static void *new_event(void) {
  void *event = NULL;
  if (cudaEventCreateWithFlags(&event, 2) || cudaEventRecord(event, NULL) ||
      cudaEventSynchronize(event)) {
    exit(2);
  }
  return event;
}
#else
#define EventQuery hipEventQuery
int hipEventQuery(void *event);
static void *new_event(void) {
  static int any;
  return &any;
}
#endif

enum { CALLS = 200000 };
static pthread_barrier_t start;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static void *measure(void *nanoseconds) {
  void *event = new_event();
  pthread_barrier_wait(&start);
  const double begun = now();
  for (int i = 0; i < CALLS; ++i) {
    if (EventQuery(event) != 0) exit(1);
  }
  *(double *)nanoseconds = (now() - begun) / CALLS;
  return NULL;
}

int main(int argc, char **argv) {
  const int threads = argc == 3 ? atoi(argv[1]) : 0, rounds = argc == 3 ? atoi(argv[2]) : 0;
  if (threads < 1 || threads > 64 || rounds < 1) return 2;
  double best = 1e18;
  for (int round = 0; round < rounds; ++round) {
    pthread_t started[64];
    double each[64];
    pthread_barrier_init(&start, NULL, (unsigned)threads);
    for (int i = 0; i < threads; ++i) pthread_create(&started[i], NULL, measure, &each[i]);
    for (int i = 0; i < threads; ++i) pthread_join(started[i], NULL);
    for (int i = 0; i < threads; ++i) best = each[i] < best ? each[i] : best;
  }
  printf("%.2f\n", best);
  return 0;
}
#endif
