#include "state.h"

#include <atomic>

#include "capture.h"

namespace standin {

State& state() {
  // Never destroyed: worker threads may still run when the process ends.
  static State& instance = [] () -> State& {
    auto& made = *new State;
    for (int device = 0; device < config().devices; ++device) {
      made.devices.push_back({std::make_shared<Stream>(device, true), {}, 0});
    }
    return made;
  }();
  return instance;
}

Thread& this_thread() {
  static std::atomic<ThreadNumber> last{0};
  thread_local Thread instance{++last};
  return instance;
}

hipError_t remember(hipError_t error) {
  if (error != hipSuccess && error != hipErrorNotReady) this_thread().last_error = error;
  return error;
}

namespace {

void wait_in_order(Queue& queue, Marker marker) {
  if (!marker.done()) queue.push([marker = std::move(marker)] { marker.wait(); });
}

Marker enqueue(State& state, Stream& stream, Task task) {
  const auto& legacy = state.devices[static_cast<std::size_t>(stream.device)].legacy;
  if (&stream == legacy.get()) {
    state.streams.each([&](const Stream& other) {
      if (other.blocking && other.device == stream.device) {
        wait_in_order(*stream.queue, other.here());
      }
    });
  } else if (stream.blocking) {
    wait_in_order(*stream.queue, legacy->here());
  }
  const auto ticket = stream.queue->push(std::move(task));
  return {stream.queue, ticket};
}

}  // namespace

hipError_t submit(State& state, hipStream_t handle, Task task, Marker* marker) {
  std::shared_ptr<Stream> stream;
  if (is_legacy(handle)) {
    const int device = this_thread().device;
    stream = state.devices[static_cast<std::size_t>(device)].legacy;
  } else {
    stream = state.streams.find(handle);
    if (!stream) return hipErrorInvalidHandle;
    if (capture_status(*stream) == hipStreamCaptureStatusInvalidated) {
      return hipErrorStreamCaptureInvalidated;
    }
    if (stream->capture) {
      add_node(*stream, std::move(task));
      return hipSuccess;
    }
  }
  const Marker end = enqueue(state, *stream, std::move(task));
  if (marker) *marker = end;
  return hipSuccess;
}

}  // namespace standin
