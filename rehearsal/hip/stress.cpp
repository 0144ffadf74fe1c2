// Many threads use the HIP stand-in at once; run under ThreadSanitizer and AddressSanitizer.
// Ends with 0 and one line, or with 1 and what was wrong. Needs HIP_STANDIN_DEVICES=4.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "hip_api.h"
#include "hiprtc_api.h"

namespace {

constexpr int kDevices = 4, kRounds = 60, kReplays = 5, kNodes = 3;
constexpr const char* kSource = R"(
extern "C" __global__ void bump(int* counter, int by) { counter[0] += by; }
extern "C" __global__ void slow_bump(int* counter, int by) {
  int before = counter[0];
  for (int i = 0; i < 100; ++i) SPIN_PAUSE();
  counter[0] = before + by;
}
extern "C" __global__ void meet(unsigned* const* blocks, int me, int count) {
  volatile unsigned* own = blocks[me];
  unsigned turn = own[0] + 1;
  __threadfence_system();
  for (int peer = 0; peer < count; ++peer) ((volatile unsigned*)blocks[peer])[16 + me] = turn;
  for (int peer = 0; peer < count; ++peer) {
    for (int left = 1 << 24; (int)(own[16 + peer] - turn) < 0; --left) {
      if (left == 0) { own[1] = 1; return; }
      SPIN_PAUSE();
    }
  }
  own[0] = turn;
}
)";

void require(bool good, const std::string& what) {
  if (good) return;
  std::fprintf(stderr, "stress: %s\n", what.c_str());
  std::_Exit(1);
}

void must(hipError_t error, const char* what) {
  require(error == hipSuccess, std::string(what) + " returned " + hipGetErrorName(error));
}

template <class T>
T* allocate(std::size_t count) {
  void* pointer = nullptr;
  must(hipMalloc(&pointer, count * sizeof(T)), "hipMalloc");
  return static_cast<T*>(pointer);
}

hipStream_t make_stream(unsigned flags) {
  hipStream_t stream = nullptr;
  must(hipStreamCreateWithFlags(&stream, flags), "hipStreamCreateWithFlags");
  return stream;
}

hipEvent_t make_event() {
  hipEvent_t event = nullptr;
  must(hipEventCreateWithFlags(&event, 2), "hipEventCreateWithFlags");
  return event;
}

std::string compile() {
  hiprtcProgram program = nullptr;
  hiprtcCreateProgram(&program, kSource, "stress", 0, nullptr, nullptr);
  const auto result = hiprtcCompileProgram(program, 0, nullptr);
  std::size_t size = 0;
  hiprtcGetProgramLogSize(program, &size);
  std::string log(size, '\0');
  hiprtcGetProgramLog(program, log.data());
  require(result == HIPRTC_SUCCESS, "hiprtc says: " + log);
  hiprtcGetCodeSize(program, &size);
  std::string code(size, '\0');
  hiprtcGetCode(program, code.data());
  hiprtcDestroyProgram(&program);
  return code;
}

hipFunction_t function(const std::string& code, const char* name) {
  hipModule_t module = nullptr;
  hipFunction_t made = nullptr;
  must(hipModuleLoadData(&module, code.data()), "hipModuleLoadData");
  must(hipModuleGetFunction(&made, module, name), "hipModuleGetFunction");
  return made;
}

hipError_t bump(hipFunction_t kernel, int* counter, hipStream_t stream) {
  int by = 1;
  void* arguments[] = {&counter, &by};
  return hipModuleLaunchKernel(kernel, 1, 1, 1, 1, 1, 1, 0, stream, arguments, nullptr);
}

// The calling thread's allocations and waits then harm no capture of another.
void opt_out() {
  hipStreamCaptureMode own = hipStreamCaptureModeRelaxed;
  must(hipThreadExchangeStreamCaptureMode(&own), "hipThreadExchangeStreamCaptureMode");
}

int read(const int* counter, hipStream_t stream) {
  int value = 0;
  must(hipMemcpyAsync(&value, counter, sizeof value, hipMemcpyDeviceToHost, stream), "read");
  must(hipStreamSynchronize(stream), "hipStreamSynchronize");
  return value;
}

// Handles that live for moments, for others to stumble over.
struct Shared {
  std::mutex mutex;
  std::vector<hipEvent_t> events;
  std::vector<hipStream_t> streams;
  hipEvent_t lasting = nullptr;
  std::atomic<unsigned> polls[3] = {};  // by the poller's mode
  std::atomic<bool> stop{false};

  void let_pollers_in() const {
    for (const auto& count : polls) {
      for (const unsigned before = count; count < before + 2;) std::this_thread::yield();
    }
  }

  template <class T>
  T pick(std::vector<T>& from, unsigned turn) {
    const std::lock_guard lock(mutex);
    return from.empty() ? nullptr : from[turn % from.size()];
  }
};

void poll(Shared& shared, hipStreamCaptureMode mode) {
  hipStreamCaptureMode own = mode;
  must(hipThreadExchangeStreamCaptureMode(&own), "hipThreadExchangeStreamCaptureMode");
  for (unsigned turn = 0; !shared.stop; ++turn) {
    hipEventQuery(shared.pick(shared.events, turn));
    hipStreamQuery(shared.pick(shared.streams, turn));
    hipEventQuery(shared.lasting);
    hipGetLastError();
    ++shared.polls[mode];
    std::this_thread::yield();
  }
}

void churn(Shared& shared) {
  for (int round = 0; round < kRounds * 4; ++round) {
    const hipStream_t stream = make_stream(hipStreamNonBlocking);
    const hipEvent_t event = make_event();
    must(hipEventRecord(event, stream), "hipEventRecord");
    {
      const std::lock_guard lock(shared.mutex);
      shared.events.push_back(event);
      shared.streams.push_back(stream);
      if (shared.events.size() < 8) continue;
      hipEventDestroy(shared.events.front());
      hipStreamDestroy(shared.streams.front());
      shared.events.erase(shared.events.begin());
      shared.streams.erase(shared.streams.begin());
    }
  }
}

// What replays add up to is exact, whichever captures the pollers kill.
void capture(Shared& shared, hipFunction_t kernel, int device, hipStreamCaptureMode mode,
             std::atomic<int>& survivors) {
  must(hipSetDevice(device), "hipSetDevice");
  opt_out();
  int* const counter = allocate<int>(1);
  const hipStream_t stream = make_stream(hipStreamNonBlocking);
  must(hipMemsetAsync(counter, 0, sizeof *counter, stream), "hipMemsetAsync");
  int expected = 0;
  for (int round = 0; round < kRounds; ++round) {
    must(hipStreamBeginCapture(stream, mode), "hipStreamBeginCapture");
    const hipEvent_t inside = make_event();
    hipEventRecord(inside, stream);
    {
      const std::lock_guard lock(shared.mutex);
      shared.events.push_back(inside);
    }
    if (round % 4 == 0) shared.let_pollers_in();  // a GLOBAL capture is dead then
    for (int node = 0; node < kNodes; ++node) bump(kernel, counter, stream);
    hipGraph_t graph = nullptr;
    if (hipStreamEndCapture(stream, &graph) == hipSuccess) {
      hipGraphExec_t executable = nullptr;
      must(hipGraphInstantiateWithFlags(&executable, graph, 0), "hipGraphInstantiateWithFlags");
      must(hipGraphDestroy(graph), "hipGraphDestroy");
      for (int replay = 0; replay < kReplays; ++replay) {
        must(hipGraphLaunch(executable, stream), "hipGraphLaunch");
      }
      must(hipGraphExecDestroy(executable), "hipGraphExecDestroy");  // while it runs
      expected += kReplays * kNodes;
      ++survivors;
    } else {
      // A dead capture leaves the stream Invalidated; a new capture clears it.
      must(hipStreamBeginCapture(stream, hipStreamCaptureModeRelaxed), "hipStreamBeginCapture");
      if (hipStreamEndCapture(stream, &graph) == hipSuccess) hipGraphDestroy(graph);
    }
  }
  const hipStream_t reader = make_stream(hipStreamNonBlocking);
  const hipEvent_t end = make_event();
  if (hipEventRecord(end, stream) == hipSuccess) {
    must(hipStreamWaitEvent(reader, end, 0), "hipStreamWaitEvent");
    const int value = read(counter, reader);
    require(value == expected, "replays added up to " + std::to_string(value) + " instead of " +
                                   std::to_string(expected));
  }
  hipStreamDestroy(stream);
  hipStreamDestroy(reader);
  hipEventDestroy(end);
  must(hipFree(counter), "hipFree");
}

void copy_round(int device) {
  constexpr std::size_t size = 1 << 16;
  opt_out();
  must(hipSetDevice(device), "hipSetDevice");
  char* const here = allocate<char>(size);
  const hipStream_t stream = make_stream(hipStreamNonBlocking);
  must(hipSetDevice((device + 1) % kDevices), "hipSetDevice");
  char* const there = allocate<char>(size);
  const hipStream_t far = make_stream(hipStreamNonBlocking);
  const hipEvent_t filled = make_event(), copied = make_event();
  for (int round = 0; round < kRounds; ++round) {
    std::vector<char> host(size, static_cast<char>(round)), back(size);
    must(hipMemcpyAsync(here, host.data(), size, hipMemcpyHostToDevice, stream), "to device");
    host.assign(size, 'x');  // an eager copy has read it
    must(hipEventRecord(filled, stream), "hipEventRecord");
    must(hipStreamWaitEvent(far, filled, 0), "hipStreamWaitEvent");
    must(hipMemcpyAsync(there, here, size, hipMemcpyDeviceToDevice, far), "across");
    must(hipMemcpyAsync(back.data(), there, size, hipMemcpyDeviceToHost, far), "to host");
    must(hipEventRecord(copied, far), "hipEventRecord");
    must(hipStreamWaitEvent(stream, copied, 0), "hipStreamWaitEvent");
    must(hipEventSynchronize(copied), "hipEventSynchronize");
    require(back == std::vector<char>(size, static_cast<char>(round)), "a copy arrived changed");
  }
  hipStreamDestroy(stream);
  hipStreamDestroy(far);
  hipEventDestroy(filled);
  hipEventDestroy(copied);
  must(hipFree(here), "hipFree");
  must(hipFree(there), "hipFree");
}

// Memory goes away when the work that uses it is done, not before.
void free_early() {
  constexpr std::size_t size = 1 << 20;
  opt_out();
  const hipStream_t stream = make_stream(hipStreamNonBlocking);
  for (int round = 0; round < kRounds; ++round) {
    char* const memory = allocate<char>(size);
    for (int fill = 0; fill < kReplays; ++fill) {
      must(hipMemsetAsync(memory, fill, size, stream), "hipMemsetAsync");
    }
    must(hipFree(memory), "hipFree");
  }
  hipStreamDestroy(stream);
}

// Unprotected increments from three streams: exact only if legacy and blocking streams take turns.
void take_turns(hipFunction_t kernel) {
  opt_out();
  int* const counter = allocate<int>(1);
  must(hipMemsetAsync(counter, 0, sizeof *counter, nullptr), "hipMemsetAsync");
  const hipStream_t blocking[] = {make_stream(hipStreamDefault), make_stream(hipStreamDefault)};
  for (int round = 0; round < kRounds; ++round) {
    must(bump(kernel, counter, blocking[round % 2]), "blocking launch");
    must(bump(kernel, counter, nullptr), "legacy launch");
  }
  const int value = read(counter, nullptr);
  require(value == 2 * kRounds, "legacy and blocking streams ran at the same time");
  for (const auto stream : blocking) hipStreamDestroy(stream);
  must(hipFree(counter), "hipFree");
}

// Graphs of all devices whose kernels wait for each other, launched one device after the other.
void meet_peers(hipFunction_t kernel) {
  opt_out();
  unsigned** const blocks = allocate<unsigned*>(kDevices);
  hipStream_t streams[kDevices];
  hipGraphExec_t executables[kDevices];
  for (int rank = 0; rank < kDevices; ++rank) {
    must(hipSetDevice(rank), "hipSetDevice");
    blocks[rank] = allocate<unsigned>(64);
    streams[rank] = make_stream(hipStreamNonBlocking);
    must(hipMemsetAsync(blocks[rank], 0, 64 * sizeof(unsigned), streams[rank]), "hipMemsetAsync");
    must(hipStreamSynchronize(streams[rank]), "hipStreamSynchronize");
  }
  for (int rank = 0; rank < kDevices; ++rank) {
    must(hipStreamBeginCapture(streams[rank], hipStreamCaptureModeRelaxed), "begin");
    int count = kDevices;
    void* arguments[] = {const_cast<unsigned***>(&blocks), &rank, &count};
    for (int node = 0; node < kNodes; ++node) {
      must(hipModuleLaunchKernel(kernel, 1, 1, 1, 1, 1, 1, 0, streams[rank], arguments, nullptr),
           "hipModuleLaunchKernel");
    }
    hipGraph_t graph = nullptr;
    must(hipStreamEndCapture(streams[rank], &graph), "hipStreamEndCapture");
    must(hipGraphInstantiateWithFlags(&executables[rank], graph, 0), "instantiate");
    must(hipGraphDestroy(graph), "hipGraphDestroy");
  }
  for (int round = 0; round < kRounds; ++round) {
    for (int rank = 0; rank < kDevices; ++rank) {
      must(hipGraphLaunch(executables[rank], streams[rank]), "hipGraphLaunch");
    }
  }
  for (const auto stream : streams) must(hipStreamSynchronize(stream), "hipStreamSynchronize");
  for (int rank = 0; rank < kDevices; ++rank) {
    require(blocks[rank][1] == 0, "rank " + std::to_string(rank) + " waited in vain");
    require(blocks[rank][0] == unsigned{kRounds * kNodes}, "a rank missed a turn");
  }
}

}  // namespace

int main() {
  int devices = 0;
  must(hipGetDeviceCount(&devices), "hipGetDeviceCount");
  require(devices == kDevices, "HIP_STANDIN_DEVICES must be " + std::to_string(kDevices));
  const std::string code = compile();
  const hipFunction_t bump_kernel = function(code, "bump"), meet_kernel = function(code, "meet");
  const hipFunction_t slow_kernel = function(code, "slow_bump");

  Shared shared;
  shared.lasting = make_event();
  must(hipEventRecord(shared.lasting, make_stream(hipStreamNonBlocking)), "hipEventRecord");
  std::atomic<int> survivors{0};
  std::vector<std::thread> pollers, workers;
  const auto work = [&](std::function<void()> body) { workers.emplace_back(std::move(body)); };
  for (const auto mode : {hipStreamCaptureModeGlobal, hipStreamCaptureModeThreadLocal,
                          hipStreamCaptureModeRelaxed}) {
    pollers.emplace_back([&, mode] { poll(shared, mode); });
    work([&, mode] { capture(shared, bump_kernel, static_cast<int>(mode), mode, survivors); });
  }
  work([&] { churn(shared); });
  for (int device = 0; device < 2; ++device) work([device] { copy_round(device); });
  work([&] { take_turns(slow_kernel); });
  work(free_early);
  work([&] { meet_peers(meet_kernel); });
  for (auto& worker : workers) worker.join();
  shared.stop = true;
  for (auto& poller : pollers) poller.join();
  must(hipDeviceSynchronize(), "hipDeviceSynchronize");
  require(survivors > 0 && survivors < 3 * kRounds, "no capture died, or none survived");
  std::printf("stress: %d of %d captures survived the pollers; all sums are exact\n",
              survivors.load(), 3 * kRounds);
  return 0;
}
