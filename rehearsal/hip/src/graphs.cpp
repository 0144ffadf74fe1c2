// Stream capture and graphs: begin, end, instantiate, launch.
#include "capture.h"

namespace {

using namespace standin;

Task replay(std::shared_ptr<const Tasks> nodes) {
  return [nodes = std::move(nodes)] {
    for (const auto& node : *nodes) node();
  };
}

}  // namespace

extern "C" {

hipError_t hipStreamBeginCapture(hipStream_t handle, hipStreamCaptureMode mode) {
  return call([&](State& state, Lock&) {
    if (is_legacy(handle)) return hipErrorStreamCaptureUnsupported;
    const auto stream = state.streams.find(handle);
    if (!stream) return hipErrorInvalidHandle;
    if (!is_mode(mode)) return hipErrorInvalidValue;
    return begin_capture(state, stream, mode);
  });
}

hipError_t hipStreamEndCapture(hipStream_t handle, hipGraph_t* graph) {
  return call([&](State& state, Lock&) {
    if (!graph) return hipErrorInvalidValue;
    *graph = nullptr;
    if (is_legacy(handle)) return hipErrorIllegalState;
    const auto stream = state.streams.find(handle);
    if (!stream) return hipErrorInvalidHandle;
    std::shared_ptr<const Tasks> nodes;
    if (const auto error = end_capture(state, stream, nodes)) return error;
    *graph = state.graphs.add(std::make_shared<Graph>(Graph{std::move(nodes)}));
    return hipSuccess;
  });
}

hipError_t hipStreamIsCapturing(hipStream_t handle, hipStreamCaptureStatus* status) {
  return call([&](State& state, Lock&) {
    if (!status) return hipErrorInvalidValue;
    *status = hipStreamCaptureStatusNone;
    if (is_legacy(handle)) return check_legacy_stream(state, this_thread().device);
    const auto stream = state.streams.find(handle);
    if (!stream) return hipErrorInvalidHandle;
    *status = capture_status(*stream);
    return hipSuccess;
  });
}

hipError_t hipGraphInstantiateWithFlags(hipGraphExec_t* executable, hipGraph_t handle,
                                        unsigned long long) {
  return call([&](State& state, Lock&) {
    if (const auto error = check_unsafe_call(state)) return error;
    const auto graph = state.graphs.find(handle);
    if (!executable || !graph) return hipErrorInvalidValue;
    *executable = state.executables.add(std::make_shared<GraphExec>(GraphExec{graph->nodes}));
    return hipSuccess;
  });
}

// There is nothing to upload to; only the handles are checked.
hipError_t hipGraphUpload(hipGraphExec_t handle, hipStream_t stream) {
  return call([&](State& state, Lock&) {
    const bool known = is_legacy(stream) || state.streams.find(stream);
    return state.executables.find(handle) && known ? hipSuccess : hipErrorInvalidValue;
  });
}

hipError_t hipGraphLaunch(hipGraphExec_t handle, hipStream_t stream) {
  return call([&](State& state, Lock&) {
    const auto executable = state.executables.find(handle);
    if (!executable) return hipErrorInvalidValue;
    return submit(state, stream, replay(executable->nodes));
  });
}

hipError_t hipGraphDestroy(hipGraph_t graph) {
  return call([&](State& state, Lock&) {
    return state.graphs.remove(graph) ? hipSuccess : hipErrorInvalidValue;
  });
}

hipError_t hipGraphExecDestroy(hipGraphExec_t executable) {
  return call([&](State& state, Lock&) {
    if (const auto error = check_unsafe_call(state)) return error;
    return state.executables.remove(executable) ? hipSuccess : hipErrorInvalidValue;
  });
}
}
