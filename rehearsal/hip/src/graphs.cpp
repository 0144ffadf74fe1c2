// Stream capture and graphs: begin, end, instantiate, launch.
#include <algorithm>

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
    Graph captured;
    if (const auto error = end_capture(state, stream, captured)) return error;
    *graph = state.graphs.add(std::make_shared<Graph>(std::move(captured)));
    return hipSuccess;
  });
}

hipError_t hipStreamIsCapturing(hipStream_t handle, hipStreamCaptureStatus* status) {
  return call([&](State& state, Lock&) {
    if (!status) return hipErrorInvalidValue;
    if (is_legacy(handle) && blocking_stream_captures(state)) return hipErrorStreamCaptureImplicit;
    *status = hipStreamCaptureStatusNone;
    if (is_legacy(handle)) return hipSuccess;
    const auto stream = state.streams.find(handle);
    if (!stream) return hipErrorInvalidHandle;
    *status = capture_status(*stream);
    return hipSuccess;
  });
}

// Without `nodes` only their number; the handles name nodes and are good for nothing else here.
hipError_t hipGraphGetRootNodes(hipGraph_t handle, hipGraphNode_t* nodes, size_t* count) {
  return call([&](State& state, Lock&) {
    const auto graph = state.graphs.find(handle);
    if (!count || !graph) return hipErrorInvalidValue;
    const auto& roots = graph->roots;
    if (!nodes) {
      *count = roots.size();
      return hipSuccess;
    }
    for (std::size_t i = 0; i < *count; ++i) {
      const auto* const node = i < roots.size() ? &(*graph->nodes)[roots[i]] : nullptr;
      nodes[i] = reinterpret_cast<hipGraphNode_t>(const_cast<Task*>(node));
    }
    *count = std::min(*count, roots.size());
    return hipSuccess;
  });
}

hipError_t hipGraphInstantiateWithFlags(hipGraphExec_t* executable, hipGraph_t handle,
                                        unsigned long long) {
  return call([&](State& state, Lock&) {
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
    return state.executables.remove(executable) ? hipSuccess : hipErrorInvalidValue;
  });
}
}
