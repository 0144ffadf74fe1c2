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
  if (event.capture && event.capture->open && event.capture->valid) {
    event.capture->valid = false;
    return hipErrorCapturedEvent;
  }
  if (!config().query_bugs()) return check_unsafe_call(state);
  // Below ROCm 7.2.1 it was enough that the event's stream captures, and an event that was never
  // recorded, or on the legacy stream, was not checked (hip_event.cpp and StreamCaptureOngoing
  // before rocm-systems #3176).
  if (!event.on_explicit_stream) return hipSuccess;
  if (const auto stream = event.stream.lock()) {
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

bool blocking_stream_captures(const State& state) {
  return std::any_of(state.captures.begin(), state.captures.end(), [](const auto& capture) {
    return std::any_of(capture->members.begin(), capture->members.end(), [&](const auto& member) {
      const auto stream = member.lock();
      return stream && stream->blocking && stream->capture == capture;
    });
  });
}

void add_node(Stream& stream, Task task) {
  Capture& capture = *stream.capture;
  const NodeId node = capture.nodes.size();
  capture.nodes.push_back(std::move(task));
  if (stream.frontier.empty()) capture.roots.push_back(node);
  for (const NodeId before : stream.frontier) capture.leaves.erase(before);
  capture.leaves.insert(node);
  stream.frontier = {node};
}

hipError_t wait_in_capture(const std::shared_ptr<Stream>& stream, const Event& event) {
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

hipError_t end_capture(State& state, const std::shared_ptr<Stream>& stream, Graph& graph) {
  const auto capture = stream->capture;
  if (!capture) {
    return stream->stuck_invalidated ? hipErrorStreamCaptureInvalidated : hipErrorIllegalState;
  }
  if (capture->origin.lock() != stream) return hipErrorStreamCaptureUnmatched;
  // On the wrong thread nothing happens: the capture goes on, or stays dead.
  if (capture->mode != hipStreamCaptureModeRelaxed && !owned_here(*capture)) {
    return hipErrorStreamCaptureWrongThread;
  }
  const auto& reached = stream->frontier;
  const bool joined = std::includes(reached.begin(), reached.end(), capture->leaves.begin(),
                                    capture->leaves.end());
  close(state, *capture);
  if (!capture->valid) {
    // rocm-systems #6429: the stream stays Invalidated until the next capture begins on it.
    stream->stuck_invalidated = true;
    return hipErrorStreamCaptureInvalidated;
  }
  if (!joined) return hipErrorStreamCaptureUnjoined;
  graph.nodes = std::make_shared<const Tasks>(std::move(capture->nodes));
  graph.roots = std::move(capture->roots);
  return hipSuccess;
}

void leave_capture(State& state, Stream& stream) {
  const auto capture = stream.capture;
  if (!capture) return;
  capture->valid = false;
  if (capture->origin.lock().get() == &stream) close(state, *capture);
}

}  // namespace standin
