// The rules of stream capture: which call is let through, and which kills what.
// CUDA's, as measured (tests/data/capture-matrix-h100.tsv), but for what hip-differences.tsv lists.
// Everything here wants State's lock held.
#pragma once

#include "state.h"

namespace standin {

hipStreamCaptureStatus capture_status(const Stream& stream);

// A call that may block or change the device behind a capture's back (allocate, free, instantiate,
// unload, enable peer access): 900, and dead captures, unless the calling thread's mode allows it.
hipError_t check_unsafe_call(State& state);

// hipStreamQuery and hipStreamSynchronize of an explicit stream.
hipError_t check_stream_query(State& state, const Stream& stream);

// hipEventQuery and hipEventSynchronize.
hipError_t check_event_query(State& state, const Event& event);

// hipDeviceSynchronize, hipMemcpy, hipMemset: `error`, and no capture of the process survives.
hipError_t check_synchronous_call(State& state, hipError_t error);

// Work on a device's legacy stream would have to wait for a capturing blocking stream: 906.
hipError_t check_legacy_stream(State& state, int device);

void add_node(Stream& stream, Task task);
hipError_t wait_in_capture(const std::shared_ptr<Stream>& stream, const Event& event);

hipError_t begin_capture(State& state, const std::shared_ptr<Stream>& stream,
                         hipStreamCaptureMode mode);
// On success `nodes` holds the graph.
hipError_t end_capture(State& state, const std::shared_ptr<Stream>& stream,
                       std::shared_ptr<const Tasks>& nodes);
// For a stream that is destroyed while it takes part in a capture.
void leave_capture(State& state, Stream& stream);

}  // namespace standin
