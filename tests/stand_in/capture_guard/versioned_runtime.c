// A runtime that only counts, with the symbol versions of AMD's libamdhip64 (versioned_runtime.map,
// as `readelf --dyn-syms` shows them for HIP 5.2): what reaches it passed the guard.
#include <stdatomic.h>

atomic_int calls_that_arrived;
static _Thread_local int captures_here;  // on the per-thread default stream

static int arrived(void) {
  atomic_fetch_add(&calls_that_arrived, 1);
  return 0;
}

int hipEventQuery(void *event) { return (void)event, arrived(); }
int hipEventSynchronize(void *event) { return (void)event, arrived(); }
int hipStreamQuery(void *stream) { return (void)stream, arrived(); }
int hipStreamSynchronize(void *stream) { return (void)stream, arrived(); }
int hipStreamQuery_spt(void *stream) { return (void)stream, arrived(); }
int hipStreamSynchronize_spt(void *stream) { return (void)stream, arrived(); }
int hipStreamDestroy(void *stream) { return (void)stream, 0; }
int hipDeviceReset(void) { return 0; }

int hipStreamIsCapturing(void *stream, int *status) {
  *status = stream != (void *)2 || captures_here;
  return 0;
}

int hipStreamBeginCapture(void *stream, int mode) { return (void)stream, (void)mode, 0; }

int hipStreamEndCapture(void *stream, void **graph) {
  *graph = stream;
  return 0;
}

int hipStreamBeginCapture_spt(void *stream, int mode) {
  (void)mode;
  return stream || captures_here++ ? 901 : 0;
}

int hipStreamEndCapture_spt(void *stream, void **graph) {
  *graph = stream;
  return captures_here-- == 1 ? 0 : 401;
}
