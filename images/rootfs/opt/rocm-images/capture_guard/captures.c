#include "captures.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "gate.h"
#include "names.h"
#include "runtime.h"

struct capture {
  void *stream;
  atomic_int *owner;  // the count of the thread that began it, alive as long as that thread
  unsigned long number;
  int missed;  // checks in a row that found the stream not capturing
  struct capture *next;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct capture *open_captures;
static unsigned long last_number;
static _Atomic time_t last_check;
static pthread_key_t end_of_thread;
static _Thread_local atomic_int own;

static struct real is_capturing = REAL(CALL(StreamIsCapturing));

// The handle of the per-thread stream means another stream on each thread.
static bool is_of(const struct capture *capture, const void *stream) {
  return capture->stream == stream && (stream != STREAM_PER_THREAD || capture->owner == &own);
}

// With the mutex held. The caller opens the gate, once for each capture taken out.
static void take_out(struct capture **link) {
  struct capture *gone = *link;
  *link = gone->next;
  atomic_fetch_sub(gone->owner, 1);
  free(gone);
}

static struct capture **find(const void *stream) {
  struct capture **link = &open_captures;
  while (*link && !is_of(*link, stream)) link = &(*link)->next;
  return link;
}

static void open_gate(int times) {
  while (times-- > 0) gate_open();
}

static void forget_thread(void *owner) {
  int taken = 0;
  pthread_mutex_lock(&mutex);
  for (struct capture **link = &open_captures; *link;) {
    if ((void *)(*link)->owner == owner) {
      take_out(link);
      ++taken;
    } else {
      link = &(*link)->next;
    }
  }
  pthread_mutex_unlock(&mutex);
  open_gate(taken);
}

static void in_forked_child(void) {
  mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
  open_captures = NULL;  // not freed: another thread of the parent may have been changing it
  atomic_store(&own, 0);
  gate_after_fork();
}

__attribute__((constructor)) static void prepare(void) {
  pthread_key_create(&end_of_thread, forget_thread);
  pthread_atfork(NULL, NULL, in_forked_child);
}

int captures_of_this_thread(void) { return atomic_load_explicit(&own, memory_order_relaxed); }

void captures_opened(void *stream) {
  struct capture *added = malloc(sizeof *added);
  unsigned long number = 0;
  int replaced = 0;
  pthread_mutex_lock(&mutex);
  // A capture on this stream that ended unseen: a stream has one at a time.
  for (struct capture **link; *(link = find(stream)); ++replaced) take_out(link);
  if (added) {
    number = ++last_number;
    *added = (struct capture){stream, &own, number, 0, open_captures};
    open_captures = added;
    atomic_fetch_add(&own, 1);
  }
  pthread_mutex_unlock(&mutex);
  // Any value but NULL has the destructor run when this thread ends.
  const bool watched = added && pthread_setspecific(end_of_thread, &own) == 0;
  if (added && !watched) captures_forget(stream, number);
  // Without memory a capture stays unguarded: that is the runtime without the guard.
  open_gate(added ? replaced : replaced + 1);
}

unsigned long captures_number(void *stream) {
  pthread_mutex_lock(&mutex);
  const struct capture *found = *find(stream);
  const unsigned long number = found ? found->number : 0;
  pthread_mutex_unlock(&mutex);
  return number;
}

void captures_forget(void *stream, unsigned long number) {
  pthread_mutex_lock(&mutex);
  struct capture **link = find(stream);
  const bool same = *link && (*link)->number == number;
  if (same) take_out(link);
  pthread_mutex_unlock(&mutex);
  if (same) gate_open();
}

void captures_forget_all(void) {
  int taken = 0;
  pthread_mutex_lock(&mutex);
  for (; open_captures; ++taken) take_out(&open_captures);
  pthread_mutex_unlock(&mutex);
  open_gate(taken);
}

// Asked with the mutex held: a stream is taken out before it is destroyed, so it exists.
static bool is_active(const struct capture *capture) {
  // On another thread the handle of the per-thread stream names another stream; it ends with its
  // thread anyway.
  if (capture->stream == STREAM_PER_THREAD) return true;
  int (*real)(void *, int *) = (int (*)(void *, int *))real_function(&is_capturing);
  int status = CAPTURE_STATUS_ACTIVE;
  return !real || (real(capture->stream, &status) == SUCCESS && status == CAPTURE_STATUS_ACTIVE);
}

void captures_check(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
  time_t last = atomic_load_explicit(&last_check, memory_order_relaxed);
  if (time.tv_sec == last || !atomic_compare_exchange_strong(&last_check, &last, time.tv_sec)) {
    return;
  }
  int taken = 0;
  pthread_mutex_lock(&mutex);
  for (struct capture **link = &open_captures; *link;) {
    (*link)->missed = is_active(*link) ? 0 : (*link)->missed + 1;
    if ((*link)->missed > 1) {
      take_out(link);
      ++taken;
    } else {
      link = &(*link)->next;
    }
  }
  pthread_mutex_unlock(&mutex);
  open_gate(taken);
}

unsigned long captures_open(void) {
  unsigned long count = 0;
  pthread_mutex_lock(&mutex);
  for (const struct capture *entry = open_captures; entry; entry = entry->next) ++count;
  pthread_mutex_unlock(&mutex);
  return count;
}

unsigned long captures_ever(void) {
  pthread_mutex_lock(&mutex);
  const unsigned long count = last_number;
  pthread_mutex_unlock(&mutex);
  return count;
}
