// Everything the runtime knows, behind one lock, and the frame that each API call runs in.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "config.h"
#include "hip_api.h"
#include "queue.h"

namespace standin {

using NodeId = std::size_t;
using Tasks = std::vector<Task>;
using ThreadNumber = std::uint64_t;  // unlike std::thread::id, never given to a second thread

struct Capture;

struct Stream {
  Stream(int on_device, bool is_blocking) : device(on_device), blocking(is_blocking) {}
  ~Stream() { queue->close(); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  Marker here() const { return {queue, queue->tail()}; }

  const int device;
  const bool blocking;  // orders itself with the legacy stream of its device
  const std::shared_ptr<Queue> queue = std::make_shared<Queue>();
  std::shared_ptr<Capture> capture;  // the open capture it takes part in
  std::set<NodeId> frontier;         // nodes that its next captured node depends on
  bool stuck_invalidated = false;    // a dead capture ended here and left its mark
};

struct Event {
  Marker marker;                     // of the last record outside a capture
  bool on_explicit_stream = false;   // recorded, and not on the legacy stream
  std::weak_ptr<Stream> stream;      // the explicit stream of the last record
  std::shared_ptr<Capture> capture;  // the capture it was last recorded in
  std::set<NodeId> frontier;         // what that stream's capture had reached
};

// From hipStreamBeginCapture to hipStreamEndCapture. Nodes are kept in capture order, which is a
// topological order of their dependencies, so a replay may run them one after another.
struct Capture {
  hipStreamCaptureMode mode = hipStreamCaptureModeGlobal;
  ThreadNumber owner = 0;
  std::weak_ptr<Stream> origin;
  std::vector<std::weak_ptr<Stream>> members;  // origin and forks
  bool valid = true;
  bool open = true;
  Tasks nodes;
  std::vector<NodeId> roots;  // nodes that depend on no other
  std::set<NodeId> leaves;    // nodes that no other depends on
};

struct Graph {
  std::shared_ptr<const Tasks> nodes;
  std::vector<NodeId> roots;
};

struct GraphExec {
  std::shared_ptr<const Tasks> nodes;
};

struct Module;
struct Function;

// Live handles of one kind. A handle is the object's address; a dead one is found by nobody.
template <class Handle, class Object>
class Registry {
 public:
  Handle add(std::shared_ptr<Object> object) {
    const auto handle = reinterpret_cast<Handle>(object.get());
    live_.emplace(handle, std::move(object));
    return handle;
  }
  std::shared_ptr<Object> find(Handle handle) const {
    const auto found = live_.find(handle);
    return found == live_.end() ? nullptr : found->second;
  }
  std::shared_ptr<Object> remove(Handle handle) {
    auto object = find(handle);
    live_.erase(handle);
    return object;
  }
  template <class Visit>
  void each(Visit visit) const {
    for (const auto& entry : live_) visit(*entry.second);
  }

 private:
  std::unordered_map<Handle, std::shared_ptr<Object>> live_;
};

struct Allocation {
  std::size_t size = 0;
  int device = 0;
  bool on_host = false;
};

struct Device {
  std::shared_ptr<Stream> legacy;
  std::set<int> peers;
  std::size_t allocated = 0;
};

struct State {
  std::mutex mutex;
  std::vector<Device> devices;
  std::vector<std::shared_ptr<Capture>> captures;  // open, valid or not
  Registry<hipStream_t, Stream> streams;
  Registry<hipEvent_t, Event> events;
  Registry<hipGraph_t, Graph> graphs;
  Registry<hipGraphExec_t, GraphExec> executables;
  Registry<hipModule_t, Module> modules;
  Registry<hipFunction_t, Function> functions;
  std::map<void*, Allocation> allocations;
};

constexpr std::size_t kDeviceMemory = std::size_t{16} << 30;  // bytes each device claims to have

using Lock = std::unique_lock<std::mutex>;

// What HIP keeps for each OS thread.
struct Thread {
  const ThreadNumber number;
  int device = 0;
  hipError_t last_error = hipSuccess;
  hipStreamCaptureMode mode = hipStreamCaptureModeGlobal;
};

State& state();
Thread& this_thread();
hipError_t remember(hipError_t error);  // for hipGetLastError; returns its argument

// Runs one API call: refuses it on a host without a device, takes the lock, lets no exception out.
// The body may release the lock to wait.
template <class Body>
hipError_t call(Body body) noexcept {
  try {
    if (config().devices == 0) return remember(hipErrorNoDevice);
    Lock lock(state().mutex);
    return remember(body(state(), lock));
  } catch (const std::bad_alloc&) {
    return remember(hipErrorOutOfMemory);
  } catch (...) {
    return remember(hipErrorUnknown);
  }
}

inline bool is_legacy(hipStream_t stream) {
  return stream == nullptr || stream == reinterpret_cast<hipStream_t>(1);  // hipStreamLegacy
}

inline bool is_mode(hipStreamCaptureMode mode) {
  return mode >= hipStreamCaptureModeGlobal && mode <= hipStreamCaptureModeRelaxed;
}

// Puts a task at the end of a stream: into the open capture, or into the queue. The legacy stream
// and the blocking streams of its device wait for each other.
hipError_t submit(State& state, hipStream_t stream, Task task, Marker* marker = nullptr);

// The present ends of the streams, legacy ones included, that `matches` picks.
template <class Matches>
std::vector<Marker> ends_of_streams(const State& state, Matches matches) {
  std::vector<Marker> ends;
  const auto add = [&](const Stream& stream) {
    if (matches(stream)) ends.push_back(stream.here());
  };
  for (const auto& device : state.devices) add(*device.legacy);
  state.streams.each(add);
  return ends;
}

}  // namespace standin
