#include "capture.h"

#include <algorithm>

namespace standin {
namespace {

bool owned_here(const Capture& capture) {
  return capture.mode != hipStreamCaptureModeRelaxed && capture.owner == this_thread().number;
}

bool is_global(const Capture& capture) { return capture.mode == hipStreamCaptureModeGlobal; }

// Kills the captures that `matches` picks; whether there were any.
template <class Matches>
bool kill(State& state, Matches matches) {
  bool any = false;
  for (const auto& capture : state.captures) {
    if (!matches(*capture)) continue;
    capture->valid = false;
    any = true;
  }
  return any;
}

void close(State& state, Capture& capture) {
  capture.open = false;
  for (const auto& member : capture.members) {
    const auto stream = member.lock();
    if (!stream || stream->capture.get() != &capture) continue;
    stream->capture.reset();
    stream->frontier.clear();
  }
  auto& open = state.captures;
  open.erase(std::remove_if(open.begin(), open.end(),
                            [&](const auto& entry) { return entry.get() == &capture; }),
             open.end());
}

// Below ROCm 7.2.1 only RELAXED threads were exempt: a THREAD_LOCAL thread was treated as a GLOBAL
// one (hip_stream.cpp, StreamCaptureOngoing, before rocm-systems #3195).
hipError_t check_unsafe_query(State& state) {
  if (!config().query_bugs()) return check_unsafe_call(state);
  if (this_thread().mode == hipStreamCaptureModeRelaxed) return hipSuccess;
  if (kill(state, is_global) || kill(state, owned_here)) return hipErrorStreamCaptureUnsupported;
  return hipSuccess;
}

}  // namespace

hipStreamCaptureStatus capture_status(const Stream& stream) {
  if (stream.capture) {
    return stream.capture->valid ? hipStreamCaptureStatusActive : hipStreamCaptureStatusInvalidated;
  }
  return stream.stuck_invalidated ? hipStreamCaptureStatusInvalidated : hipStreamCaptureStatusNone;
}

hipError_t check_unsafe_call(State& state) {
  const auto mode = this_thread().mode;
  if (mode == hipStreamCaptureModeRelaxed) return hipSuccess;
  const bool own = kill(state, owned_here);
  const bool foreign = mode == hipStreamCaptureModeGlobal && kill(state, is_global);
  return own || foreign ? hipErrorStreamCaptureUnsupported : hipSuccess;
}

hipError_t check_stream_query(State& state, const Stream& stream) {
  if (stream.capture) stream.capture->valid = false;
  if (capture_status(stream) != hipStreamCaptureStatusNone) return hipErrorStreamCaptureUnsupported;
  return check_unsafe_query(state);
}

hipError_t check_event_query(State& state, const Event& event) {
  // HIP checks nothing for an event that was never recorded, or recorded on the legacy stream.
  if (!event.on_explicit_stream) return hipSuccess;
  const auto stream = event.stream.lock();
  if (event.capture && event.capture->open && event.capture->valid) {
    event.capture->valid = false;
    return hipErrorCapturedEvent;
  }
  // Below ROCm 7.2.1 it was enough that the event's stream captures (hip_event.cpp before
  // rocm-systems #3176).
  if (config().query_bugs() && stream) {
    const auto status = capture_status(*stream);
    if (stream->capture) stream->capture->valid = false;
    if (status == hipStreamCaptureStatusActive) return hipErrorCapturedEvent;
    if (status == hipStreamCaptureStatusInvalidated) return hipErrorStreamCaptureUnsupported;
  }
  return check_unsafe_query(state);
}

hipError_t check_synchronous_call(State& state, hipError_t error) {
  return kill(state, [](const Capture&) { return true; }) ? error : hipSuccess;
}

hipError_t check_legacy_stream(State& state, int device) {
  const auto blocks = [device](const Capture& capture) {
    return std::any_of(capture.members.begin(), capture.members.end(), [&](const auto& member) {
      const auto stream = member.lock();
      return stream && stream->blocking && stream->device == device &&
             stream->capture.get() == &capture;
    });
  };
  return kill(state, blocks) ? hipErrorStreamCaptureImplicit : hipSuccess;
}

void add_node(Stream& stream, Task task) {
  Capture& capture = *stream.capture;
  const NodeId node = capture.nodes.size();
  capture.nodes.push_back(std::move(task));
  for (const NodeId before : stream.frontier) capture.leaves.erase(before);
  capture.leaves.insert(node);
  stream.frontier = {node};
}

hipError_t wait_in_capture(const std::shared_ptr<Stream>& stream, const Event& event) {
  const bool in_capture = event.capture && event.capture->open;
  if (!in_capture) {
    stream->capture->valid = false;
    return hipErrorStreamCaptureIsolation;
  }
  if (!event.capture->valid) return hipErrorStreamCaptureInvalidated;
  if (stream->capture && stream->capture != event.capture) {
    stream->capture->valid = false;
    event.capture->valid = false;
    return hipErrorStreamCaptureMerge;
  }
  if (!stream->capture) {
    stream->capture = event.capture;
    stream->stuck_invalidated = false;
    stream->frontier.clear();
    event.capture->members.push_back(stream);
  }
  stream->frontier.insert(event.frontier.begin(), event.frontier.end());
  return hipSuccess;
}

hipError_t begin_capture(State& state, const std::shared_ptr<Stream>& stream,
                         hipStreamCaptureMode mode) {
  if (stream->capture) return hipErrorIllegalState;
  auto capture = std::make_shared<Capture>();
  capture->mode = mode;
  capture->owner = this_thread().number;
  capture->origin = stream;
  capture->members = {stream};
  stream->stuck_invalidated = false;
  stream->frontier.clear();
  stream->capture = capture;
  state.captures.push_back(std::move(capture));
  return hipSuccess;
}

hipError_t end_capture(State& state, const std::shared_ptr<Stream>& stream,
                       std::shared_ptr<const Tasks>& nodes) {
  const auto capture = stream->capture;
  if (!capture) {
    return stream->stuck_invalidated ? hipErrorStreamCaptureInvalidated : hipErrorIllegalState;
  }
  if (capture->origin.lock() != stream) return hipErrorStreamCaptureUnmatched;
  const auto& reached = stream->frontier;
  const bool joined = std::includes(reached.begin(), reached.end(), capture->leaves.begin(),
                                    capture->leaves.end());
  // Also on the wrong thread the capture is over: its own thread then gets 401 (measured on CUDA).
  close(state, *capture);
  if (capture->mode != hipStreamCaptureModeRelaxed && !owned_here(*capture)) {
    return hipErrorStreamCaptureWrongThread;
  }
  if (!capture->valid) {
    stream->stuck_invalidated = config().dead_streams_stay_invalidated();
    return hipErrorStreamCaptureInvalidated;
  }
  if (!joined) return hipErrorStreamCaptureUnjoined;
  nodes = std::make_shared<const Tasks>(std::move(capture->nodes));
  return hipSuccess;
}

void leave_capture(State& state, Stream& stream) {
  const auto capture = stream.capture;
  if (!capture) return;
  capture->valid = false;
  if (capture->origin.lock().get() == &stream) close(state, *capture);
}

}  // namespace standin
