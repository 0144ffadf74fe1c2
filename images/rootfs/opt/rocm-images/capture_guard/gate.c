// Queries mark themselves in one of many counters, so that threads share no cache line, and then
// look whether the gate is shut; gate_shut shuts first and then looks at the counters. Both are
// sequentially consistent, so one of them sees the other.
//
// A blocking call cannot be waited for: what it waits for may need the capture that is opening. The
// runtime looks for captures when such a call begins, so it is given a moment to get past that.
#include "gate.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "captures.h"

enum { STRIPES = 64, CACHE_LINE = 64 };
static const int64_t MILLISECOND = 1000 * 1000;
static const int64_t SECOND = 1000 * 1000 * 1000;
#define QUERY_PATIENCE (1 * SECOND)
#define BLOCKING_CALL_PATIENCE (5 * MILLISECOND)

static struct {
  _Alignas(CACHE_LINE) atomic_int inside;
} stripes[STRIPES];
static atomic_uint threads;
static _Thread_local unsigned my_stripe;  // from 1; 0: none yet

static _Alignas(CACHE_LINE) atomic_int shut;
static _Alignas(CACHE_LINE) atomic_int blocking_calls;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
// The thread that captures may itself be waiting for a call that is held back: RCCL connects in
// threads that it joins. So none is held for longer than this.
static int64_t longest_wait = 30 * SECOND;
static int waiting;  // blocking calls before the gate
static int passing;  // of these, the ones whose turn it is before the next capture opens

__attribute__((constructor)) static void read_longest_wait(void) {
  const char *text = getenv("CAPTURE_GUARD_WAIT_SECONDS");
  const long seconds = text ? strtol(text, NULL, 10) : 0;
  if (seconds > 0 && seconds <= 86400) longest_wait = seconds * SECOND;
}

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * SECOND + time.tv_nsec;
}

static atomic_int *inside(void) {
  if (my_stripe == 0) my_stripe = atomic_fetch_add(&threads, 1) % STRIPES + 1;
  return &stripes[my_stripe - 1].inside;
}

bool gate_enter(void) {
  atomic_int *calls = inside();
  atomic_fetch_add(calls, 1);
  if (atomic_load(&shut) == 0) return true;
  atomic_fetch_sub(calls, 1);
  return false;
}

void gate_leave(void) { atomic_fetch_sub_explicit(inside(), 1, memory_order_release); }

// Waits for a change, a second at most: nobody waits for ever on a wake-up that never comes.
static bool wait_for_change(void) {
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += 1;
  int cancellation;
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancellation);
  const bool woken = pthread_cond_timedwait(&changed, &mutex, &until) == 0;
  pthread_setcancelstate(cancellation, NULL);
  return woken;
}

bool gate_enter_waiting(void) {
  atomic_fetch_add(&blocking_calls, 1);
  if (atomic_load(&shut) == 0) return false;
  atomic_fetch_sub(&blocking_calls, 1);
  const int64_t begun = now();
  pthread_mutex_lock(&mutex);
  ++waiting;
  while (atomic_load(&shut) != 0) {
    if (wait_for_change()) continue;
    if (now() - begun >= longest_wait) {
      fprintf(stderr, "capture-guard: a wait was held back for %d s by an open capture, and now goes "
              "through; CAPTURE_GUARD_WAIT_SECONDS changes that\n", (int)(longest_wait / SECOND));
      break;
    }
    pthread_mutex_unlock(&mutex);
    captures_check();
    pthread_mutex_lock(&mutex);
  }
  // Where the gate is open, no capture can begin to open before the mutex is released.
  atomic_fetch_add(&blocking_calls, 1);
  --waiting;
  if (passing > 0 && --passing == 0) pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&mutex);
  return true;
}

void gate_leave_waiting(void) { atomic_fetch_sub(&blocking_calls, 1); }

static bool empty(void) {
  for (int i = 0; i < STRIPES; ++i) {
    if (atomic_load(&stripes[i].inside) > 0) return false;
  }
  return true;
}

void gate_shut(void) {
  pthread_mutex_lock(&mutex);
  // First those who waited for the last capture to end: captures in a row must not starve them.
  while (passing > 0 && wait_for_change()) {
  }
  passing = 0;
  atomic_fetch_add(&shut, 1);
  pthread_mutex_unlock(&mutex);
  const int64_t begun = now();
  while (!empty() && now() - begun < QUERY_PATIENCE) sched_yield();
  while (atomic_load(&blocking_calls) > 0 && now() - begun < BLOCKING_CALL_PATIENCE) sched_yield();
}

void gate_open(void) {
  pthread_mutex_lock(&mutex);
  if (atomic_fetch_sub(&shut, 1) == 1) {
    passing = waiting;
    pthread_cond_broadcast(&changed);
  }
  pthread_mutex_unlock(&mutex);
}

int gate_waiting(void) {
  pthread_mutex_lock(&mutex);
  const int found = waiting;
  pthread_mutex_unlock(&mutex);
  return found;
}

void gate_after_fork(void) {
  mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
  changed = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
  waiting = passing = 0;
  atomic_store(&shut, 0);
  atomic_store(&blocking_calls, 0);
  for (int i = 0; i < STRIPES; ++i) atomic_store(&stripes[i].inside, 0);
}
