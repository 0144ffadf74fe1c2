// The rules of stream capture: which call is let through, and which kills what.
// Those of AMD's HIP 7.2.4, as measured (tests/data/*-hip-7.2.4.tsv), and below ROCm 7.2.1 what
// hip-differences.tsv lists.
// Everything here wants State's lock held.
#pragma once

#include "state.h"

namespace standin {

hipStreamCaptureStatus capture_status(const Stream& stream);

// A call that may block or change the device behind a capture's back (allocate, free, unload):
// 900, and dead captures, unless the calling thread's mode allows it.
hipError_t check_unsafe_call(State& state);

// hipStreamQuery and hipStreamSynchronize of an explicit stream.
hipError_t check_stream_query(State& state, const Stream& stream);

// hipEventQuery and hipEventSynchronize.
hipError_t check_event_query(State& state, const Event& event);

// hipDeviceSynchronize, the synchronous copies and fills: `error`, and no capture of the process
// survives.
hipError_t check_synchronous_call(State& state, hipError_t error);

// Whether a blocking stream captures: hipStreamIsCapturing of the legacy stream is 906 then.
bool blocking_stream_captures(const State& state);

void add_node(Stream& stream, Task task);
// `event` was recorded in an open capture, which `stream` thereby joins.
hipError_t wait_in_capture(const std::shared_ptr<Stream>& stream, const Event& event);

hipError_t begin_capture(State& state, const std::shared_ptr<Stream>& stream,
                         hipStreamCaptureMode mode);
// On success `graph` holds what was captured.
hipError_t end_capture(State& state, const std::shared_ptr<Stream>& stream, Graph& graph);
// For a stream that is destroyed while it takes part in a capture.
void leave_capture(State& state, Stream& stream);

}  // namespace standin
