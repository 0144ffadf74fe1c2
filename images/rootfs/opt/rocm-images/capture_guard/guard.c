// libcapture_guard.so: while a graph capture is open in this process, keeps the queries and waits of
// other threads out of the runtime, where on ROCm 7.2.0 they would invalidate the capture
// (pytorch#177309, rocm-systems#3176). Preloaded; docs/capture-guard.md says what it does not cover.
//
//   EventQuery, StreamQuery               answered "not ready"
//   EventSynchronize, StreamSynchronize   wait until no capture is open, then go through
//
// A thread with a capture of its own is let through, always: what it does is its own affair.
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "captures.h"
#include "gate.h"
#include "names.h"
#include "runtime.h"

// Definitions carry no symbol version, so that they answer references to any (hip_4.2, hip_4.3 and
// hip_5.2 in real libraries) and to none.
#define EXPORT __attribute__((visibility("default")))
// Non-zero inside the runtime: what the runtime calls there by its own exported names goes through.
static _Thread_local int inside_runtime;
static atomic_ulong answered, held;

static bool goes_through(void) { return inside_runtime > 0 || captures_of_this_thread() > 0; }

typedef int one_handle(void *);

static int enter_runtime(one_handle *real, void *handle) {
  ++inside_runtime;
  const int status = real(handle);
  --inside_runtime;
  return status;
}

static int query(struct real *call, void *handle) {
  one_handle *real = (one_handle *)real_function(call);
  if (!real) return SYMBOL_NOT_FOUND;
  if (goes_through()) return real(handle);
  if (!gate_enter()) {
    atomic_fetch_add_explicit(&answered, 1, memory_order_relaxed);
    captures_check();
    return NOT_READY;
  }
  const int status = enter_runtime(real, handle);
  gate_leave();
  return status;
}

static int synchronize(struct real *call, void *handle) {
  one_handle *real = (one_handle *)real_function(call);
  if (!real) return SYMBOL_NOT_FOUND;
  if (goes_through()) return real(handle);
  if (gate_enter_waiting()) atomic_fetch_add_explicit(&held, 1, memory_order_relaxed);
  const int status = enter_runtime(real, handle);
  gate_leave_waiting();
  return status;
}

typedef int begin_call(void *, int);
typedef int begin_to_graph_call(void *, void *, const void *, const void *, unsigned long, int);
typedef int end_call(void *, void **);

// The stream that a call of the per-thread kind means by the default one.
static void *or_per_thread(void *stream) { return stream ? stream : STREAM_PER_THREAD; }

static int begun(int status, void *stream) {
  if (status == SUCCESS) {
    captures_opened(stream);
  } else {
    gate_open();
  }
  return status;
}

static int begin(struct real *call, void *stream, void *known_as, int mode) {
  begin_call *real = (begin_call *)real_function(call);
  if (!real) return SYMBOL_NOT_FOUND;
  if (inside_runtime) return real(stream, mode);
  gate_shut();
  ++inside_runtime;
  const int status = real(stream, mode);
  --inside_runtime;
  return begun(status, known_as);
}

static bool still_captures(void *stream) {
  static struct real call = REAL(CALL(StreamIsCapturing));
  int (*real)(void *, int *) = (int (*)(void *, int *))real_function(&call);
  int status = 0;
  return real && real(stream, &status) == SUCCESS && status == CAPTURE_STATUS_ACTIVE;
}

static int end(struct real *call, void *stream, void *known_as, void **graph) {
  end_call *real = (end_call *)real_function(call);
  if (!real) return SYMBOL_NOT_FOUND;
  if (inside_runtime) return real(stream, graph);
  const unsigned long number = captures_number(known_as);
  ++inside_runtime;
  const int status = real(stream, graph);
  // HIP refuses a thread that did not begin the capture, and the capture goes on; on CUDA it is
  // over. After any other answer it is over, or nobody can use it any more.
  const bool goes_on = status == CAPTURE_WRONG_THREAD && still_captures(stream);
  --inside_runtime;
  if (number != 0 && !goes_on) captures_forget(known_as, number);
  return status;
}

#define QUERY(name)                                       \
  EXPORT int name(void *handle) {                         \
    static struct real call = REAL(name);                 \
    return query(&call, handle);                          \
  }
#define SYNCHRONIZE(name)                                 \
  EXPORT int name(void *handle) {                         \
    static struct real call = REAL(name);                 \
    return synchronize(&call, handle);                    \
  }
#define BEGIN(name, known_as)                             \
  EXPORT int name(void *stream, int mode) {               \
    static struct real call = REAL(name);                 \
    return begin(&call, stream, known_as(stream), mode);  \
  }
#define END(name, known_as)                               \
  EXPORT int name(void *stream, void **graph) {           \
    static struct real call = REAL(name);                 \
    return end(&call, stream, known_as(stream), graph);   \
  }
#define AS_GIVEN(stream) (stream)

QUERY(CALL(EventQuery))
QUERY(CALL(StreamQuery))
QUERY(CALL_PER_THREAD(StreamQuery))
SYNCHRONIZE(CALL(EventSynchronize))
SYNCHRONIZE(CALL(StreamSynchronize))
SYNCHRONIZE(CALL_PER_THREAD(StreamSynchronize))
BEGIN(CALL(StreamBeginCapture), AS_GIVEN)
BEGIN(CALL_PER_THREAD(StreamBeginCapture), or_per_thread)
END(CALL(StreamEndCapture), AS_GIVEN)
END(CALL_PER_THREAD(StreamEndCapture), or_per_thread)

EXPORT int CALL(StreamBeginCaptureToGraph)(void *stream, void *graph, const void *dependencies,
                                           const void *data, unsigned long count, int mode) {
  static struct real call = REAL(CALL(StreamBeginCaptureToGraph));
  begin_to_graph_call *real = (begin_to_graph_call *)real_function(&call);
  if (!real) return SYMBOL_NOT_FOUND;
  if (inside_runtime) return real(stream, graph, dependencies, data, count, mode);
  gate_shut();
  ++inside_runtime;
  const int status = real(stream, graph, dependencies, data, count, mode);
  --inside_runtime;
  return begun(status, stream);
}

// Not guarded, but watched: a destroyed stream captures no more, and must not be asked about.
EXPORT int CALL(StreamDestroy)(void *stream) {
  static struct real call = REAL(CALL(StreamDestroy));
  one_handle *real = (one_handle *)real_function(&call);
  if (!real) return SYMBOL_NOT_FOUND;
  const unsigned long number = inside_runtime ? 0 : captures_number(stream);
  if (number != 0) captures_forget(stream, number);
  return enter_runtime(real, stream);
}

EXPORT int CALL(DeviceReset)(void) {
  static struct real call = REAL(CALL(DeviceReset));
  int (*real)(void) = (int (*)(void))real_function(&call);
  if (!real) return SYMBOL_NOT_FOUND;
  if (!inside_runtime) captures_forget_all();
  return real();
}

// What a program can ask of the guard, found by dlsym(RTLD_DEFAULT, ...); graph-probe does.
EXPORT void capture_guard_counts(unsigned long counts[5]) {
  counts[0] = captures_ever();
  counts[1] = captures_open();
  counts[2] = atomic_load(&answered);
  counts[3] = atomic_load(&held);
  counts[4] = (unsigned long)gate_waiting();
}
