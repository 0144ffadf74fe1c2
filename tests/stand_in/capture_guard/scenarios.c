// One scenario of the capture guard, by name: `scenarios NAME`. Exit 0 where everything held.
#include <sched.h>
#include <string.h>
#include <sys/wait.h>

#include "scenario.h"

enum { NOT_READY = 600 };

static int version;
static void *capturing, *other, *event, *before;

static int begin(void *mode) { return hipStreamBeginCapture(capturing, (int)(long)mode); }
static int end(void *graph) { return hipStreamEndCapture(capturing, graph); }
static int begin_global(void) { return begin((void *)GLOBAL); }
static bool query_is_held(void) { return elsewhere(hipEventQuery, event) == NOT_READY; }

// What another thread's query gets once no capture is open any more.
static void expect_open_gate(void) {
  CHECK(count_of(OPEN) == 0);
  CHECK(!query_is_held());
}

static void queries(void) {
  void *graph = NULL;
  CHECK(begin_global() == 0);
  printf("%d %d ", elsewhere(hipEventQuery, event), elsewhere(hipEventQuery, before));
  printf("%d %d ", elsewhere(hipStreamQuery, other), elsewhere(hipStreamQuery, capturing));
  printf("%d\n", end(&graph));
  CHECK(elsewhere(hipEventQuery, event) == 0 && elsewhere(hipStreamQuery, other) == 0);
}

static void waits(void) {
  int (*const calls[])(void *) = {hipEventSynchronize, hipEventSynchronize, hipStreamSynchronize,
                                  hipStreamSynchronize};
  void *const handles[] = {event, before, other, capturing};
  struct call *started[4];
  void *graph = NULL;
  CHECK(begin_global() == 0);
  for (int i = 0; i < 4; ++i) started[i] = start(calls[i], handles[i]);
  while (count_of(WAITING) < 4) sched_yield();
  CHECK(end(&graph) == 0 && graph);
  for (int i = 0; i < 4; ++i) CHECK(finish(started[i]) == 0);
  CHECK(count_of(HELD) == 4 && count_of(WAITING) == 0);
}

// One thread captures again and again; the other's wait must get its turn in between.
static void waits_between_captures_in_a_row(void) {
  void *graph = NULL;
  CHECK(begin_global() == 0);
  struct call *waiter = start(hipEventSynchronize, event);
  while (count_of(WAITING) < 1) sched_yield();
  CHECK(end(&graph) == 0);
  CHECK(begin_global() == 0);
  CHECK(finish(waiter) == 0);  // it was let in before this capture opened
  CHECK(end(&graph) == 0);
}

static void ended_on_another_thread(void) {
  void *graph = NULL;
  CHECK(begin((void *)RELAXED) == 0 && query_is_held());
  CHECK(elsewhere(end, &graph) == 0 && graph);
  expect_open_gate();
}

static void refused_on_another_thread(void) {
  void *graph = NULL;
  CHECK(begin_global() == 0 && query_is_held());
  CHECK(elsewhere(end, &graph) == 908);
  end(&graph);
  expect_open_gate();
}

static void begin_fails(void) {
  CHECK(hipStreamBeginCapture(NULL, GLOBAL) != 0);
  expect_open_gate();
  CHECK(begin_global() == 0 && begin_global() != 0 && query_is_held());
  void *graph = NULL;
  CHECK(end(&graph) == 0);
  expect_open_gate();
}

static void end_fails(void) {
  void *graph = NULL, *fork_event = NULL;
  CHECK(hipEventCreateWithFlags(&fork_event, DISABLE_TIMING) == 0);
  CHECK(begin_global() == 0);
  CHECK(hipEventRecord(fork_event, capturing) == 0 && hipStreamWaitEvent(other, fork_event, 0) == 0);
  CHECK(hipEventRecord(fork_event, other) == 0);
  end(&graph);
  CHECK(count_of(OPEN) == 0);
}

static void invalidated(void) {
  void *graph = NULL;
  CHECK(begin_global() == 0);
  CHECK(hipDeviceSynchronize() == 900);
  CHECK(query_is_held());
  CHECK(end(&graph) == 901);
  expect_open_gate();
}

static void invalidated_and_never_ended(void) {
  CHECK(begin_global() == 0);
  CHECK(hipDeviceSynchronize() == 900);
  struct call *waiter = start(hipEventSynchronize, event);
  while (query_is_held()) sched_yield();
  finish(waiter);
  CHECK(count_of(OPEN) == 0);
}

static void stream_destroyed(void) {
  CHECK(begin_global() == 0 && query_is_held());
  CHECK(hipStreamDestroy(capturing) == 0);
  expect_open_gate();
}

static void thread_dies(void) {
  for (long mode = GLOBAL; mode <= RELAXED; ++mode) {
    capturing = new_stream();
    CHECK(elsewhere(begin, (void *)mode) == 0);
    CHECK(count_of(OPEN) == 0);
    CHECK(!query_is_held());
  }
}

static void thread_cancelled(void) {
  // Cancelled while it is held back by a capture; the wait itself is not cut off.
  void *graph = NULL;
  CHECK(begin_global() == 0);
  struct call *waiter = start(hipEventSynchronize, event);
  while (count_of(WAITING) < 1) sched_yield();
  CHECK(pthread_cancel(waiter->thread) == 0);
  CHECK(end(&graph) == 0);
  CHECK(pthread_join(waiter->thread, NULL) == 0);
  CHECK(count_of(WAITING) == 0 && begin_global() == 0 && end(&graph) == 0);
  expect_open_gate();
}

static int whole_capture(void *stream) {
  void *graph = NULL;
  const int begun = hipStreamBeginCapture(stream, THREAD_LOCAL);
  return begun ? begun : hipStreamEndCapture(stream, &graph);
}

static void nested_and_concurrent(void) {
  void *second = new_stream(), *third = new_stream(), *graph = NULL;
  CHECK(begin_global() == 0);
  CHECK(hipStreamBeginCapture(second, GLOBAL) == 0);
  CHECK(count_of(OPEN) == 2 && query_is_held());
  CHECK(elsewhere(whole_capture, third) == 0);
  CHECK(hipStreamEndCapture(second, &graph) == 0);
  CHECK(query_is_held());
  CHECK(end(&graph) == 0);
  expect_open_gate();
  CHECK(count_of(EVER) == 3);
}

static void capturing_thread_is_let_through(void) {
  // HIP 6 refuses no thread the query of an event that no capture has to do with; 7.2 does.
  const bool refused = version >= 70000000;
  void *graph = NULL;
  CHECK(begin_global() == 0);
  CHECK(hipEventQuery(event) == (refused ? 900 : 0));
  CHECK(end(&graph) == (refused ? 901 : 0));
  // This one both refuse.
  CHECK(begin_global() == 0);
  CHECK(hipStreamQuery(other) == 900);
  CHECK(end(&graph) == 901);
  expect_open_gate();
}

static void forked(void) {
  void *graph = NULL;
  CHECK(begin_global() == 0);
  struct call *waiter = start(hipEventSynchronize, event);
  while (count_of(WAITING) < 1) sched_yield();
  const pid_t child = fork();
  if (child == 0) {
    // Only this thread is left; what the parent has open is none of the child's.
    CHECK(count_of(OPEN) == 0 && count_of(WAITING) == 0);
    CHECK(hipEventQuery(event) != NOT_READY);
    void *stream = new_stream();
    CHECK(hipStreamBeginCapture(stream, RELAXED) == 0 && count_of(OPEN) == 1);
    CHECK(hipStreamEndCapture(stream, &graph) == 0 && count_of(OPEN) == 0);
    _exit(0);
  }
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  CHECK(query_is_held());
  CHECK(end(&graph) == 0 && finish(waiter) == 0);
  expect_open_gate();
}

// With CAPTURE_GUARD_WAIT_SECONDS=1: the capturing thread itself waits for the call that is held.
static void a_held_call_is_joined_by_the_capturing_thread(void) {
  void *graph = NULL;
  CHECK(begin_global() == 0);
  finish(start(hipEventSynchronize, event));
  CHECK(count_of(HELD) == 1 && count_of(WAITING) == 0);
  end(&graph);
  expect_open_gate();
}

static void never_captures(void) {
  CHECK(elsewhere(hipEventQuery, event) == 0 && elsewhere(hipEventSynchronize, event) == 0);
  CHECK(elsewhere(hipStreamQuery, other) == 0 && elsewhere(hipStreamSynchronize, other) == 0);
  CHECK(count_of(ANSWERED) == 0 && count_of(HELD) == 0);
}

#define SCENARIO(name) {#name, name}
static const struct {
  const char *name;
  void (*play)(void);
} scenarios[] = {
    SCENARIO(queries), SCENARIO(waits), SCENARIO(waits_between_captures_in_a_row),
    SCENARIO(ended_on_another_thread), SCENARIO(refused_on_another_thread), SCENARIO(begin_fails),
    SCENARIO(end_fails), SCENARIO(invalidated), SCENARIO(invalidated_and_never_ended),
    SCENARIO(stream_destroyed), SCENARIO(thread_dies), SCENARIO(thread_cancelled),
    SCENARIO(nested_and_concurrent), SCENARIO(capturing_thread_is_let_through), SCENARIO(forked),
    SCENARIO(a_held_call_is_joined_by_the_capturing_thread), SCENARIO(never_captures),
};

int main(int argc, char **argv) {
  CHECK(argc == 2 && hipSetDevice(0) == 0);
  version = say_runtime();
  capturing = new_stream();
  other = new_stream();
  event = passed_event(other);
  before = passed_event(capturing);
  for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; ++i) {
    if (strcmp(argv[1], scenarios[i].name) != 0) continue;
    scenarios[i].play();
    return 0;
  }
  fprintf(stderr, "no scenario %s\n", argv[1]);
  return 2;
}
