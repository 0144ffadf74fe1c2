// Streams and events: create, order, query, wait.
#include <algorithm>

#include "capture.h"

namespace {

using namespace standin;

hipError_t event_of(State& state, hipEvent_t handle, std::shared_ptr<Event>& event) {
  event = state.events.find(handle);
  if (!event) return hipErrorInvalidHandle;
  return check_event_query(state, *event);
}

// The legacy stream is synchronised with the blocking streams of its device, and is never checked.
hipError_t ends_of(State& state, hipStream_t handle, std::vector<Marker>& ends) {
  if (is_legacy(handle)) {
    const int device = this_thread().device;
    ends = ends_of_streams(state,
                           [&](const Stream& s) { return s.blocking && s.device == device; });
    return hipSuccess;
  }
  const auto stream = state.streams.find(handle);
  if (!stream) return hipErrorInvalidHandle;
  if (const auto error = check_stream_query(state, *stream)) return error;
  ends = {stream->here()};
  return hipSuccess;
}

}  // namespace

extern "C" {

hipError_t hipStreamCreateWithFlags(hipStream_t* stream, unsigned flags) {
  return call([&](State& state, Lock&) {
    if (!stream || flags > hipStreamNonBlocking) return hipErrorInvalidValue;
    const bool blocking = flags == hipStreamDefault;
    *stream = state.streams.add(std::make_shared<Stream>(this_thread().device, blocking));
    return hipSuccess;
  });
}

// Returns at once; work that is queued still runs.
hipError_t hipStreamDestroy(hipStream_t handle) {
  return call([&](State& state, Lock&) {
    const auto stream = state.streams.remove(handle);
    if (!stream) return hipErrorInvalidHandle;
    leave_capture(state, *stream);
    return hipSuccess;
  });
}

hipError_t hipStreamSynchronize(hipStream_t handle) {
  return call([&](State& state, Lock& lock) {
    std::vector<Marker> ends;
    if (const auto error = ends_of(state, handle, ends)) return error;
    lock.unlock();
    for (const auto& end : ends) end.wait();
    return hipSuccess;
  });
}

hipError_t hipStreamQuery(hipStream_t handle) {
  return call([&](State& state, Lock&) {
    std::vector<Marker> ends;
    if (const auto error = ends_of(state, handle, ends)) return error;
    const bool done = std::all_of(ends.begin(), ends.end(), [](const auto& e) { return e.done(); });
    return done ? hipSuccess : hipErrorNotReady;
  });
}

hipError_t hipStreamWaitEvent(hipStream_t handle, hipEvent_t event_handle, unsigned flags) {
  return call([&](State& state, Lock&) {
    if (flags != 0) return hipErrorInvalidValue;
    const auto event = state.events.find(event_handle);
    if (!event) return hipErrorInvalidHandle;
    const bool event_in_capture = event->capture && event->capture->open;
    if (!is_legacy(handle)) {
      const auto stream = state.streams.find(handle);
      if (!stream) return hipErrorInvalidHandle;
      if (event_in_capture) return wait_in_capture(stream, *event);
      if (stream->capture) {
        // The stream itself waits; the capture gets no node.
        stream->queue->push([marker = event->marker] { marker.wait(); });
        return hipSuccess;
      }
    } else if (event_in_capture) {
      event->capture->valid = false;
      return hipErrorStreamCaptureImplicit;
    }
    return submit(state, handle, [marker = event->marker] { marker.wait(); });
  });
}

hipError_t hipEventCreateWithFlags(hipEvent_t* event, unsigned) {
  return call([&](State& state, Lock&) {
    if (!event) return hipErrorInvalidValue;
    *event = state.events.add(std::make_shared<Event>());
    return hipSuccess;
  });
}

hipError_t hipEventDestroy(hipEvent_t event) {
  return call([&](State& state, Lock&) {
    return state.events.remove(event) ? hipSuccess : hipErrorInvalidHandle;
  });
}

hipError_t hipEventRecord(hipEvent_t event_handle, hipStream_t handle) {
  return call([&](State& state, Lock&) {
    const auto event = state.events.find(event_handle);
    if (!event) return hipErrorInvalidHandle;
    const auto stream = state.streams.find(handle);
    if (stream && stream->capture && stream->capture->valid) {
      *event = {{}, true, stream, stream->capture, stream->frontier};
      return hipSuccess;
    }
    Marker marker;
    if (const auto error = submit(state, handle, [] {}, &marker)) return error;
    *event = {marker, stream != nullptr, stream, nullptr, {}};
    return hipSuccess;
  });
}

hipError_t hipEventQuery(hipEvent_t handle) {
  return call([&](State& state, Lock&) {
    std::shared_ptr<Event> event;
    if (const auto error = event_of(state, handle, event)) return error;
    return event->marker.done() ? hipSuccess : hipErrorNotReady;
  });
}

hipError_t hipEventSynchronize(hipEvent_t handle) {
  return call([&](State& state, Lock& lock) {
    std::shared_ptr<Event> event;
    if (const auto error = event_of(state, handle, event)) return error;
    const Marker marker = event->marker;
    lock.unlock();
    marker.wait();
    return hipSuccess;
  });
}
}
